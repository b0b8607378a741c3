"""The functions that programs call: declare operations, schedule tasks, and declare schedules.

    from rework import api

    @api.task
    def double(task):
        task.save_output(task.input * 2)

    task = api.schedule('postgres://localhost/jobs', 'double', 21)
    task.join()

An `engine` is a DSN, or a connection or pool that the program has already: see `rework.database`. A task that is
scheduled on a connection with an open transaction exists if and only if that transaction is committed.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rework import binary, quantity, retry_policy
from rework.compat import ignore_reset
from rework.database import require_dsn, session
from rework.errors import ReworkError
from rework.monitor import workers
from rework.operation import registry, task
from rework.retry_policy import RetryPolicy
from rework.schedules import prepare, unprepare
from rework.target import encode_input, find_operation, metadata_json
from rework.task import Task

__all__ = ['Task', 'freeze_operations', 'prepare', 'schedule', 'task', 'unprepare', 'workers']

#: The longest delay that is passed to Postgres, in milliseconds: 10,000 years. The database refuses it with a hint.
#: Postgres could not even add a much longer one to its clock.
MAX_DELAY_MS = 315_576_000_000_000


def schedule(
    engine: object,
    opname: str,
    inputdata: Any = None,
    rawinputdata: bytes | None = None,
    hostid: str | None = None,
    module: str | None = None,
    domain: str | None = None,
    metadata: dict[str, Any] | None = None,
    *,
    priority: int | None = None,
    delayed_until: None | datetime.datetime | datetime.timedelta = None,
    unique_key: str | None = None,
    capabilities: Sequence[str] = (),
    retry: RetryPolicy = None,
    after: int | Task | Iterable[int | Task] = (),
    after_failure: str = 'abort',
    unique_while: str | None = None,
    unique_for: datetime.timedelta | None = None,
    on_conflict: str | None = None,
    debounce: datetime.timedelta | None = None,
    at_most: datetime.timedelta | None = None,
) -> Task:
    """Put a task in the queue and return it.

    * `inputdata`: a dict of the declared inputs; if none are declared, anything that JSON can carry, bytes and dates
    * `rawinputdata`: bytes instead, which are not validated; the operation reads them from `task.raw_input`
    * `hostid`: the only host that may run the task
    * `module`: the file that the operation was registered from, if several domains have an operation of this name
    * `domain`: the domain of the operation, if several domains have one of this name
    * `metadata`: a dict that is stored with the task and passed to the operation
    * `priority`: tasks with a higher priority are claimed first; by default that of the operation
    * `delayed_until`: a datetime before which the task does not start, in local time if it has no zone; or a timedelta
      from now
    * `unique_key`: if a task of the operation has this key, return that one and create none; `created` of the returned
      task says which
    * `capabilities`: labels that the host must offer
    * `retry`: the retry policy, `'never'`, `'once'`, `'always'` or a dict such as `{'attempts': 5, 'first': '10s'}`; by
      default that of the operation
    * `after`: tasks, or their ids, that must end before
    * `after_failure`: what happens if one of them is not done: `'abort'` the new task, or `'run'` it all the same
    * `unique_while`: how long the task keeps its key: `'exists'`, until it is deleted, by default a day after its end;
      `'unfinished'`, until it has ended; `'queued'`, until a worker claims it. The default is `'exists'`, or `'queued'`
      with `debounce`
    * `unique_for`: and at most for this long after it was scheduled
    * `on_conflict`: what happens to the task that has the key: `'keep'`, nothing; `'replace'`, it gets the new input,
      priority, metadata and time, unless a worker has claimed it or it has ended. The default is `'keep'`, or
      `'replace'` with `debounce`
    * `debounce`: the task starts when nobody has scheduled its key for this long
    * `at_most`: but not later than this after it was scheduled first

    Raise UnknownOperation, Ambiguous or another ReworkError if the database refuses the task. Raise BadInput (a
    ValueError) or BadInputType (a TypeError) if the input does not satisfy the declaration. Raise TypeError if JSON
    cannot carry the input. Raise TypeError or ValueError for a retry policy that makes no sense. Nothing is queued
    then.
    """
    if isinstance(capabilities, str):
        raise TypeError(f'`capabilities` must be a list of texts: [{capabilities!r}]')
    at, after_ms = _moment_or_delay(delayed_until)
    policy = None if retry is None else json.dumps(retry_policy.checked('retry', retry))
    with session(engine) as db:
        target = find_operation(db, opname, domain, module)
        text, data = encode_input(target, inputdata, rawinputdata)
        ((tid, created),) = db.rows(
            'schedule_task',
            operation=target.name,
            domain=target.domain,
            input=text,
            input_bytes=data,
            host=hostid,
            priority=priority,
            at=at,
            after_ms=after_ms,
            unique_key=unique_key,
            metadata=metadata_json(metadata),
            capabilities=json.dumps(list(capabilities)),
            retry=policy,
            after=json.dumps(_task_ids(after)),
            after_failure=after_failure,
            unique_while=unique_while,
            unique_for_ms=_milliseconds('unique_for', unique_for),
            on_conflict=on_conflict,
            debounce_ms=_milliseconds('debounce', debounce),
            at_most_ms=_milliseconds('at_most', at_most),
        )
    return Task(engine, tid, target.id, created)


def _task_ids(after: int | Task | Iterable[int | Task]) -> list[int]:
    tasks = (after,) if isinstance(after, (int, Task)) else after
    return [task.tid if isinstance(task, Task) else task for task in tasks]


def _moment_or_delay(until: None | datetime.datetime | datetime.timedelta) -> tuple[str | None, int | None]:
    """Return a moment as ISO 8601 text, or a delay in milliseconds. The server adds the delay to its own clock."""
    if until is None:
        return None, None
    if isinstance(until, datetime.timedelta):
        milliseconds = min(round(until.total_seconds() * 1000), MAX_DELAY_MS)
        return None, milliseconds if milliseconds > 0 else None
    if isinstance(until, datetime.datetime):
        return until.astimezone(datetime.timezone.utc).isoformat(), None
    raise TypeError(f'`delayed_until` must be a datetime or a timedelta, not {until!r:.100}')


def _milliseconds(name: str, time: datetime.timedelta | None) -> int | None:
    """Return a duration in milliseconds, at most MAX_DELAY_MS. The database refuses one that is not positive."""
    if time is None:
        return None
    if not isinstance(time, datetime.timedelta):
        raise TypeError(f'`{name}` must be a timedelta, not {time!r:.100}')
    return min(quantity.milliseconds(time), MAX_DELAY_MS)


def freeze_operations(
    engine: object, domain: str | None = None, hostid: str | None = None, reset: bool = True
) -> tuple[int, int]:
    """Register the operations that this process has declared, to be run by this Python. Return `(new, known)`.

    `new` and `known` are the numbers of operations that were not, and that were already registered. With `domain`, only
    operations of that domain are registered. `hostid` is the host for which they are registered, by default this one.
    `reset` has no effect. The registration is committed at once, even if `engine` has an open transaction.

    Raise ReworkError if an operation is not in a file, or if a module cannot be imported from its file.
    """
    ignore_reset(reset)
    modules = _module_paths(domain)
    if not modules:
        return 0, 0
    options = {'domain': domain, 'host': hostid, 'python': sys.executable, 'output': 'json'}
    args = [f'--{name}={value}' for name, value in options.items() if value is not None]
    printed = binary.run(require_dsn(engine), ['register-operations', *args, *modules])
    registered: list[dict[str, Any]] = json.loads(printed)
    new = sum(1 for operation in registered if operation['new'])
    return new, len(registered) - new


def _module_paths(domain: str | None) -> list[str]:
    """Return the files of the declared operations, each once, in the order of their declaration."""
    # A dict keeps the order, a set does not.
    modules: dict[str, None] = {}
    for operation in registry.values():
        if domain is not None and operation.domain != domain:
            continue
        try:
            path = os.path.abspath(operation.module)
        except (TypeError, OSError):
            path = ''
        if not os.path.isfile(path):
            raise ReworkError(
                f'operation `{operation.name}` is not in a file that workers could load',
                'put it into a module',
            )
        modules[path] = None
    return list(modules)
