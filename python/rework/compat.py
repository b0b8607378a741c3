"""Everything that exists only for programs that were written for the Python rework 0.17.

* `TaskCompat` holds the members of a task that 0.17 had and that new programs do not need.
* `RunningTaskCompat` holds those of the task within its operation.
* The functions handle arguments that are accepted and have no effect, and values that mean something unusual.

In other modules, these too are as they were in 0.17: `TimeOut` can be imported from `rework.task`, `api.prepare` has an
argument `_anyrule`, and the messages of `rework.io` about wrong inputs have the same texts. docs/python.md lists what
changed.
"""

from __future__ import annotations

import datetime
import warnings
from typing import NoReturn

from rework.errors import ReworkError

_NOT_STARTED = ('delayed', 'waiting', 'queued')
_RUNNING = ('running', 'aborting')


class TaskCompat:
    """Members of `rework.task.Task` for old programs."""

    @classmethod
    def fromqueue(cls, engine: object, wid: int, domain: str = 'default') -> NoReturn:
        """Raise NotImplementedError: only a worker claims a task, because the lease of its monitor protects the run."""
        raise NotImplementedError(
            'only a worker claims a task, so that it runs once: start workers with `rework monitor` or '
            '`api.workers`; to run an operation here and now, use `rework.testing.call`'
        )

    @property
    def state(self) -> str | None:
        """Return the state of the task, or None if it does not exist."""
        raise NotImplementedError

    @property
    def status(self) -> str | None:
        """Return `queued`, `running` or `done`, or None if the task does not exist. A read queries the database.

        `done` means any end: use `state` to tell success from failure.
        """
        return status_of(self.state)

    def save_output(self, *_args: object, **_options: object) -> NoReturn:
        """Raise ReworkError: only the operation can save the output, on the task that it is called with."""
        raise _only_in_operation('save_output')

    def capturelogs(self, *_args: object, **_options: object) -> NoReturn:
        """Raise ReworkError: only the operation can capture its logs, on the task that it is called with."""
        raise _only_in_operation('capturelogs')


class RunningTaskCompat:
    """Members of `rework.context.TaskContext` for old programs."""

    #: A task within its operation is always running. `state` also knows `aborting`.
    status = 'running'


def status_of(state: str | None) -> str | None:
    """Return the status that 0.17 has for a state. Return None for None.

    `delayed` and `waiting` become `queued`, `aborting` becomes `running`, and each state of an ended task
    becomes `done`.
    """
    if state is None:
        return None
    if state in _NOT_STARTED:
        return 'queued'
    return 'running' if state in _RUNNING else 'done'


def join_timeout(timeout: None | float | datetime.timedelta) -> float | None:
    """Return the timeout of `Task.join` in seconds, or None for no limit. In 0.17, and so here, 0 means no limit."""
    if isinstance(timeout, datetime.timedelta):
        timeout = timeout.total_seconds()
    return timeout or None


def ignore_reset(reset: bool) -> None:
    """Accept the argument `reset` of `api.freeze_operations`, which has no effect.

    In 0.17 it deleted the earlier operations of the same files first. Here, operations and their tasks are always kept.
    """


def ignore_sync(sync: bool | None) -> None:
    """Accept the argument `sync` of `TaskContext.capturelogs`, which has no effect, and warn if it is given.

    It was deprecated already in 0.17. Here, each line is sent at once.
    """
    if sync is not None:
        # The frames above are those of `capturelogs`, of contextlib, and of the operation, which the warning names.
        warnings.warn('`sync` has no effect any more', DeprecationWarning, stacklevel=4)


def task_usage_error() -> AssertionError:
    """Return the error for a wrong use of `@api.task`. It has the class and the message that it had in 0.17."""
    return AssertionError("Use either @task or @task(domain='domain', timeout=..., inputs=..., outputs=...)")


def _only_in_operation(name: str) -> ReworkError:
    return ReworkError(
        f'`{name}` works inside an operation only, on the task that it is called with',
        'from outside, read `.output` and `.logs()`',
    )
