"""What programs use: operations are declared, tasks are scheduled, schedules prepared.

    from rework import api

    @api.task
    def double(task):
        task.save_output(task.input * 2)

    task = api.schedule('postgres://localhost/jobs', 'double', 21)
    task.join()

`engine` is a DSN, or whatever the program has of the database already: see `rework.database`. What
is scheduled on a connection within a transaction is there if, and only if, that is committed.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from rework.database import session
from rework.errors import ReworkError
from rework.monitor import workers
from rework.operation import registry, task
from rework.schedules import encoded, find, noted, place, prepare, unprepare
from rework.task import Task

__all__ = ['Task', 'freeze_operations', 'prepare', 'schedule', 'task', 'unprepare', 'workers']


def schedule(
    engine: object,
    opname: str,
    inputdata: Any = None,
    rawinputdata: Optional[bytes] = None,
    hostid: Optional[str] = None,
    module: Optional[str] = None,
    domain: Optional[str] = None,
    metadata: Optional[Dict[str, Any]] = None,
    *,
    priority: Optional[int] = None,
    delayed_until: Union[None, datetime.datetime, datetime.timedelta] = None,
    unique_key: Optional[str] = None,
    capabilities: Sequence[str] = (),
) -> Task:
    """Puts a task in the queue, and gives it.

    * `inputdata`: a dict of the declared inputs, else whatever JSON can carry, bytes and dates
    * `rawinputdata`: bytes in its place, held against nothing; the operation reads `task.raw_input`
    * `hostid`: the only host that may run it
    * `module`: the file that the operation is registered from, where it is in several domains
    * `domain`: the operation's, where several have one of this name
    * `metadata`: a dict of anything that is to be kept with it
    * `priority`: higher goes first; as the operation says, if left out
    * `delayed_until`: not before this moment, local time if it has no zone; or so long from now
    * `unique_key`: where a task of the operation has it, that one is given, and none scheduled
    * `capabilities`: what its host must offer

    Raises UnknownOperation, Ambiguous, or another ReworkError; BadInputType or BadInput, which are a
    TypeError and a ValueError, where the input does not fit; TypeError where JSON cannot carry it.
    Then nothing is queued.
    """
    if isinstance(capabilities, str):
        raise TypeError(f'`capabilities` is a list of texts: [{capabilities!r}]')
    at, after_ms = _when(delayed_until)
    with session(engine) as db:
        target = find(db, opname, domain, module)
        text, data = encoded(target, inputdata, rawinputdata)
        ((tid,),) = db.rows(
            'schedule',
            operation=target.name,
            domain=target.domain,
            input=text,
            input_bytes=data,
            host=hostid,
            priority=priority,
            at=at,
            after_ms=after_ms,
            unique_key=unique_key,
            metadata=noted(metadata),
            capabilities=json.dumps(list(capabilities)),
        )
    return Task(engine, tid, target.id)


def _when(
    until: Union[None, datetime.datetime, datetime.timedelta],
) -> Tuple[Optional[str], Optional[int]]:
    """A moment with its zone, or milliseconds from now by the server's clock."""
    if until is None:
        return None, None
    if isinstance(until, datetime.timedelta):
        milliseconds = round(until.total_seconds() * 1000)
        return None, milliseconds if milliseconds > 0 else None
    if isinstance(until, datetime.datetime):
        return until.astimezone(datetime.timezone.utc).isoformat(), None
    raise TypeError(f'`delayed_until` is a datetime or a timedelta, not {until!r:.100}')


def freeze_operations(
    engine: object, domain: Optional[str] = None, hostid: Optional[str] = None, reset: bool = True
) -> Tuple[int, int]:
    """Registers the operations that were declared in this process, to be run by this Python.

    Of `domain` alone, and as those of the host `hostid`, where they are given. Gives how many are
    new, and how many were known. `reset` is taken and means nothing: no history is ever lost. It is
    committed at once, whatever transaction is open on `engine`.

    Raises ReworkError where a module cannot be loaded from its file.
    """
    from rework import binary

    modules = _modules(domain)
    if not modules:
        return 0, 0
    options = {'domain': domain, 'host': hostid, 'python': sys.executable, 'output': 'json'}
    words = [f'--{name}={value}' for name, value in options.items() if value is not None]
    said = binary.run(place(engine), ['register-operations', *words, *modules])
    found: List[Dict[str, Any]] = json.loads(said)
    new = sum(1 for operation in found if operation['new'])
    return new, len(found) - new


def _modules(domain: Optional[str]) -> List[str]:
    modules: Dict[str, None] = {}
    for operation in registry.values():
        if domain is not None and operation.domain != domain:
            continue
        try:
            path = os.path.abspath(operation.module)
        except (TypeError, OSError):
            path = ''
        if not os.path.isfile(path):
            raise ReworkError(
                f'operation `{operation.name}` is in no file that workers could load',
                'put it into a module',
            )
        modules[path] = None
    return list(modules)
