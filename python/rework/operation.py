"""Declare operations by the decorator `@task`: functions that tasks run, with their schemas and limits."""

from __future__ import annotations

import datetime
import inspect
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from rework import io, quantity, retry_policy
from rework.compat import task_usage_error

#: The domain of an operation that names none.
DEFAULT_DOMAIN = 'default'

#: The type of an operation's function. Its argument is the task (`rework.context.TaskContext`).
Function = Callable[[Any], Any]

#: The type of a check. It returns True, False, or a text that says why the operation is not available.
Check = Callable[[], Any]

Inputs = Optional[tuple[io.Io, ...]]


@dataclass(frozen=True)
class Operation:
    """A function, with the schemas and limits of its tasks."""

    function: Function
    name: str
    domain: str = DEFAULT_DOMAIN
    #: The declared inputs and outputs, or None if anything is allowed.
    inputs: Inputs = None
    outputs: Inputs = None
    #: The longest time that a run may take, or None for no limit.
    timeout: datetime.timedelta | None = None
    #: The largest memory of the whole process tree in bytes, or None for no limit.
    memory: int | None = None
    #: The number of attempts for a task that fails.
    attempts: int = 1
    #: The time from the request to end until the kill, or None for the default of 3 s.
    grace: datetime.timedelta | None = None
    #: Whether a task is requeued if its worker or host is lost.
    retry_lost: bool = False
    #: The priority of a task that is scheduled without one. Higher goes first.
    priority: int = 0
    #: The number of runs that one process has open at the same time.
    concurrency: int = 1
    #: The retry policy (`rework.retry_policy`), or None for the default.
    retry: dict[str, Any] | None = None
    #: The function that answers whether this host can run the operation now, or None if it always can.
    available: Check | None = None
    #: The operations of which a task follows each task that is done.
    run_after: tuple[str, ...] = ()
    #: The operations of which a task is scheduled with each task, which waits for their ends.
    run_before: tuple[str, ...] = ()
    #: The operations of which a task follows each task that failed or was lost.
    on_failure: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Return the path of the file that defines the function. Symbolic links are not resolved."""
        return inspect.getfile(self.function)

    def definition(self) -> dict[str, Any]:
        """Return the operation as the runner protocol describes it (docs/runner-protocol.md, `hello`)."""
        limits: dict[str, Any] = {'attempts': self.attempts, 'retry_lost': self.retry_lost}
        if self.priority != 0:
            limits['priority'] = self.priority
        if self.concurrency != 1:
            limits['concurrency'] = self.concurrency
        if self.retry is not None:
            limits['retry'] = self.retry
        if self.timeout is not None:
            limits['timeout_ms'] = quantity.milliseconds(self.timeout)
        if self.memory is not None:
            limits['memory_bytes'] = self.memory
        if self.grace is not None:
            limits['grace_ms'] = quantity.milliseconds(self.grace)
        definition: dict[str, Any] = {'domain': self.domain, 'name': self.name, 'limits': limits}
        if self.inputs is not None:
            definition['input'] = io.schema(self.inputs)
        if self.outputs is not None:
            definition['output'] = io.schema(self.outputs)
        if self.available is not None:
            definition['available'] = getattr(self.available, '__qualname__', type(self.available).__qualname__)
        for option in ('run_after', 'run_before', 'on_failure'):
            if names := getattr(self, option):
                definition[option] = list(names)
        return definition


#: The operations that were declared in this process, by domain and name, in the order of their declaration.
registry: dict[tuple[str, str], Operation] = {}


def task(*functions: Function, **options: Any) -> Any:
    """Declare a function as an operation: `@task`, or with options `@task(domain='images', attempts=3)`.

    The function is called with the task (`rework.context.TaskContext`). It may be `async`. Options:

    * `domain`: the domain, which chooses the workers that run it; by default `'default'`
    * `timeout`: the longest time of a run, a `timedelta` or a text such as `'5m'` or `'1h30m'`; by default no limit
    * `inputs`, `outputs`: tuples of `rework.io` types; `()` declares that there are none; by default anything
    * `attempts`: the number of attempts for a task that fails; by default 1
    * `memory`: the largest memory of all processes of a run, a number of bytes or `'2GiB'`; by default no limit
    * `grace`: the time from the request to end until the kill; by default 3 s; `'0s'` kills at once
    * `retry_lost`: whether a task is requeued if its worker or host is lost, or a drain ends it; by default False.
      Set it only if a second run does no harm.
    * `priority`: the priority of a task that is scheduled without one; higher goes first; by default 0
    * `concurrency`: the number of runs of an `async` function that one process has open at the same time; by default 1
    * `retry`: the retry policy, `'never'`, `'once'`, `'always'` or a dict such as `{'attempts': 5, 'first': '10s'}`

    * `available`: a function without arguments that answers whether this host can run the operation now: True, or
      False, or a text that says why not. It may be `async`. While it is not True, the tasks stay queued, and other
      hosts run them. By default always available.
    * `run_after`: the name of an operation, or a list of names; a task of each follows a task that is done
    * `run_before`: likewise; a task of each is scheduled together with a task, which waits for their ends
    * `on_failure`: likewise; a task of each follows a task that failed or was lost

    Raise TypeError for an unknown option or an option of the wrong type. Raise ValueError for a duration or size that
    cannot be read, for a retry policy that makes no sense, or for two inputs with the same name. Raise AssertionError
    for `@task()`.
    """
    if functions and not options:
        if len(functions) == 1 and callable(functions[0]):
            return _declare(functions[0], {})
        raise task_usage_error()
    if functions or not options:
        raise task_usage_error()
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(f'@task has no option `{unknown[0]}`: its options are {", ".join(_OPTIONS)}')
    checked = {name: _OPTIONS[name](name, value) for name, value in options.items()}
    return lambda function: _declare(function, checked)


def _declare(function: Function, options: dict[str, Any]) -> Function:
    attempts = retry_policy.attempts(options.get('attempts'), options.get('retry'))
    operation = Operation(function=function, name=function.__name__, **{**options, 'attempts': attempts})
    if operation.concurrency > 1 and not inspect.iscoroutinefunction(function):
        raise TypeError(
            f'`concurrency` is for `async` functions, and `{operation.name}` is not one: '
            'run it in as many workers instead'
        )
    registry[operation.domain, operation.name] = operation
    return function


def _domain(name: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise TypeError(f"`{name}` must be a label such as 'images', not {value!r}")


def _duration(name: str, value: object) -> datetime.timedelta | None:
    return None if value is None else quantity.duration(name, value)


def _grace(name: str, value: object) -> datetime.timedelta | None:
    return None if value is None else quantity.duration(name, value, datetime.timedelta(0))


def _size(name: str, value: object) -> int | None:
    return None if value is None else quantity.size(name, value)


def _specs(name: str, value: object) -> Inputs:
    if value is None:
        return None
    return io.check_specs(value, name)


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise TypeError(f'`{name}` must be a number from 1 on, not {value!r}')


def _priority(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -32768 <= value <= 32767:
        return value
    raise TypeError(f'`{name}` must be a number from -32768 to 32767, not {value!r}')


def _names(name: str, value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if isinstance(names, (tuple, list)) and all(isinstance(item, str) for item in names):
        for item in names:
            if not item or item.startswith('-') or any(character.isspace() for character in item):
                raise ValueError(f'`{name}`: {item!r:.100} is not a name: write one word')
        return tuple(names)
    raise TypeError(f'`{name}` must be the name of an operation or a list of names, not {value!r:.100}')


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f'`{name}` must be True or False, not {value!r}')


def _retry(name: str, value: object) -> dict[str, Any] | None:
    return None if value is None else retry_policy.checked(name, value)


def _check(name: str, value: object) -> Check | None:
    if value is None or callable(value):
        return value
    raise TypeError(f'`{name}` must be a function, not {value!r}')


_Value = Union[None, str, int, bool, datetime.timedelta, Inputs, Check, 'dict[str, Any]', tuple[str, ...]]

#: The options of `@task`, each with the function that checks and converts its value.
_OPTIONS: dict[str, Callable[[str, object], _Value]] = {
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
    'retry': _retry,
    'available': _check,
    'run_after': _names,
    'run_before': _names,
    'on_failure': _names,
}
