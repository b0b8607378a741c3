"""Operations: functions that tasks run, with their schemas and limits, as a module declares them."""

from __future__ import annotations

import datetime
import inspect
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Tuple, Union

from rework import io, quantity

#: The domain of what names none.
DEFAULT_DOMAIN = 'default'

#: What is registered: one argument, the task.
Function = Callable[[Any], Any]

Inputs = Optional[Tuple[io.Io, ...]]


@dataclass(frozen=True)
class Operation:
    """A function, and how its tasks are run."""

    function: Function
    name: str
    domain: str = DEFAULT_DOMAIN
    inputs: Inputs = None
    outputs: Inputs = None
    #: From a run's beginning; None is no limit.
    timeout: Optional[datetime.timedelta] = None
    #: Bytes of the whole process tree; None is no limit.
    memory: Optional[int] = None
    #: How often a failing task is tried in all.
    attempts: int = 1
    #: Between being asked to end and being killed.
    grace: Optional[datetime.timedelta] = None
    #: A lost run is queued again.
    retry_lost: bool = False
    #: Of its tasks, where who schedules says none: higher first.
    priority: int = 0
    #: Runs that are open at once in one process.
    concurrency: int = 1

    @property
    def module(self) -> str:
        """The absolute path of the file that defines it, symlinks kept."""
        return inspect.getfile(self.function)

    def definition(self) -> Dict[str, Any]:
        """It, as the runner protocol says it (docs/runner-protocol.md, `hello`)."""
        limits: Dict[str, Any] = {'attempts': self.attempts, 'retry_lost': self.retry_lost}
        if self.priority != 0:
            limits['priority'] = self.priority
        if self.concurrency != 1:
            limits['concurrency'] = self.concurrency
        if self.timeout is not None:
            limits['timeout_ms'] = quantity.milliseconds(self.timeout)
        if self.memory is not None:
            limits['memory_bytes'] = self.memory
        if self.grace is not None:
            limits['grace_ms'] = quantity.milliseconds(self.grace)
        definition: Dict[str, Any] = {'domain': self.domain, 'name': self.name, 'limits': limits}
        if self.inputs is not None:
            definition['input'] = io.schema(self.inputs)
        if self.outputs is not None:
            definition['output'] = io.schema(self.outputs)
        return definition


#: What was declared in this process, by (domain, name), in the order of its declaration.
registry: Dict[Tuple[str, str], Operation] = {}

_USE = "Use either @task or @task(domain='domain', timeout=..., inputs=..., outputs=...)"


def task(*functions: Function, **options: Any) -> Any:
    """Declares a function as an operation: `@task`, or `@task(domain='images', attempts=3)`.

    The function is given the task (`rework.running.RunningTask`) and may be `async`. Options:

    * `domain`: which workers run it; `'default'` if left out
    * `timeout`: a `timedelta`, or `'5m'`, `'1h30m'`
    * `inputs`, `outputs`: tuples of `rework.io` types; `()` declares that there are none
    * `attempts`: how often a failing task is tried in all, 1 if left out
    * `memory`: bytes of all processes of a run, or `'2GiB'`
    * `grace`: between being asked to end and being killed, 3 s if left out, `'0s'` for none
    * `retry_lost`: queue a task again when its machine or its worker is lost, or a drain ends it: it can be
      run twice without harm
    * `priority`: of its tasks, where who schedules says none; higher goes first, 0 if left out
    * `concurrency`: how many runs of an `async` function one process has open at once, 1 if left out
    """
    if functions and not options:
        if len(functions) == 1 and callable(functions[0]):
            return _declare(functions[0], {})
        raise AssertionError(_USE)
    if functions or not options:
        raise AssertionError(_USE)
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(
            f'@task has no option `{unknown[0]}`: its options are {", ".join(_OPTIONS)}'
        )
    checked = {name: _OPTIONS[name](name, value) for name, value in options.items()}
    return lambda function: _declare(function, checked)


def _declare(function: Function, options: Dict[str, Any]) -> Function:
    operation = Operation(function=function, name=function.__name__, **options)
    if operation.concurrency > 1 and not inspect.iscoroutinefunction(function):
        raise TypeError(
            f'`concurrency` is for `async` functions, and `{operation.name}` is none: '
            'run it in as many workers instead'
        )
    registry[operation.domain, operation.name] = operation
    return function


def _domain(name: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise TypeError(f"`{name}` is a label such as 'images', not {value!r}")


def _duration(name: str, value: object) -> Optional[datetime.timedelta]:
    return None if value is None else quantity.duration(name, value)


def _grace(name: str, value: object) -> Optional[datetime.timedelta]:
    return None if value is None else quantity.duration(name, value, datetime.timedelta(0))


def _size(name: str, value: object) -> Optional[int]:
    return None if value is None else quantity.size(name, value)


def _specs(name: str, value: object) -> Inputs:
    if value is None:
        return None
    return io.check_specs(value, name)


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise TypeError(f'`{name}` is a number from 1 on, not {value!r}')


def _priority(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -32768 <= value <= 32767:
        return value
    raise TypeError(f'`{name}` is a number from -32768 to 32767, not {value!r}')


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f'`{name}` is True or False, not {value!r}')


_Check = Callable[[str, object], Union[None, str, int, bool, datetime.timedelta, Inputs]]

_OPTIONS: Dict[str, _Check] = {
    'domain': _domain,
    'timeout': _duration,
    'inputs': _specs,
    'outputs': _specs,
    'attempts': _count,
    'memory': _size,
    'grace': _grace,
    'retry_lost': _flag,
    'priority': _priority,
    'concurrency': _count,
}
