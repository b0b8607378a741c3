"""A task as whoever has scheduled it sees it, from outside: where it is, what it gave, its log.

Each property is asked of the database when it is read.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Dict, List, NoReturn, Optional, Tuple, Union

from rework import io, values
from rework.database import Row, session
from rework.errors import ReworkError, TimeOut
from rework.waiting import Waiter

__all__ = ['Task', 'TimeOut']

#: Lines of a log that are fetched at once.
_PAGE = 5000

_QUEUED = ('delayed', 'queued')
_RUNNING = ('running', 'aborting')

_FACTS = (
    'operation',
    'worker',
    'attempt',
    'reason',
    'error',
    'progress',
    'metadata',
    'input_schema',
    'output_schema',
)


class Task:
    """One request to run an operation. Of one that does not exist every property is None."""

    def __init__(self, engine: object, tid: int, operation: Optional[int]) -> None:
        self._engine = engine
        #: Its id.
        self.tid = tid
        #: The id of its operation.
        self.operation = operation

    @classmethod
    def byid(cls, engine: object, tid: int) -> Task:
        """The task of this id."""
        task = cls(engine, int(tid), None)
        task.operation = task._fact('operation')
        return task

    @classmethod
    def fromqueue(cls, engine: object, wid: int, domain: str = 'default') -> Task:
        """Raises NotImplementedError: a task is claimed by a worker, by whose lease it runs."""
        raise NotImplementedError(
            'only a worker claims a task, so that it runs once: start workers with `rework monitor` or '
            '`api.workers`; to run an operation here and now, use `rework.testing.call`'
        )

    def __repr__(self) -> str:
        try:
            state = self.state
        except ReworkError:
            state = 'in a state that nobody can tell'
        return f'Task({self.operation}, {state})'

    @property
    def id(self) -> int:
        """Its id."""
        return self.tid

    @property
    def state(self) -> Optional[str]:
        """Where it is in its life.

        `delayed`, `queued`, `running`, `aborting`; or an end: `done`, `failed`,
        `aborted`, `lost`.
        """
        with session(self._engine) as db:
            row = db.row('task_state', task=self.tid)
        return None if row is None else row[0]

    @property
    def status(self) -> Optional[str]:
        """The state in fewer words: `queued`, `running` or `done`, however it ended."""
        state = self.state
        if state is None:
            return None
        if state in _QUEUED:
            return 'queued'
        return 'running' if state in _RUNNING else 'done'

    @property
    def aborted(self) -> Optional[bool]:
        """Whether it is to end, or has ended, because somebody asked for it."""
        state = self.state
        return None if state is None else state in ('aborting', 'aborted')

    @property
    def worker(self) -> Optional[int]:
        """The id of the worker that claimed it last."""
        return self._fact('worker')  # type: ignore[no-any-return]

    @property
    def attempt(self) -> Optional[int]:
        """How many of its operation's attempts it has used."""
        return self._fact('attempt')  # type: ignore[no-any-return]

    @property
    def deathinfo(self) -> Optional[str]:
        """Why it ended as it did, in words: `exit code 3`, `timed out after 5m`."""
        return self._fact('reason')  # type: ignore[no-any-return]

    @property
    def traceback(self) -> Optional[str]:
        """Where its code failed, as it told; None where it did not, as one that was killed."""
        error = self._json('error')
        found = error.get('traceback') if isinstance(error, dict) else None
        return found.rstrip() if found else None

    @property
    def progress(self) -> Optional[Dict[str, Any]]:
        """How far it said that it is: `done`, `total`, `message`."""
        return self._json('progress')  # type: ignore[no-any-return]

    @property
    def metadata(self) -> Optional[Dict[str, Any]]:
        """What was noted by whoever scheduled it; `{}` where nothing was."""
        row = self._row('task_facts')
        if row is None:
            return None
        noted = row[_FACTS.index('metadata')]
        return {} if noted is None else values.loads(noted) or {}  # type: ignore[return-value]

    @property
    def inputspec(self) -> Optional[List[Dict[str, Any]]]:
        """The declared inputs of its operation, each a dict; None where it declares none.

        Their keys are `name`, `type`, `required`, `choices`, `default`.
        """
        return _declared(self._fact('input_schema'))

    @property
    def outputspec(self) -> Optional[List[Dict[str, Any]]]:
        """The declared outputs of its operation."""
        return _declared(self._fact('output_schema'))

    @property
    def input(self) -> Any:
        """What it is given, by the declared types where there are any; None where it is nothing.

        Moments are evaluated anew at each read. Raises TypeError for bytes that were scheduled raw.
        """
        return _read(self._row('task_input'), 'input')

    @property
    def raw_input(self) -> Optional[bytes]:
        """What it is given as it is kept: bytes, or the text of JSON."""
        return _raw(self._row('task_input'))

    @property
    def output(self) -> Any:
        """What it has saved, also before it failed; None where it is nothing.

        Raises TypeError for bytes that were saved raw.
        """
        return _read(self._row('task_output'), 'output')

    @property
    def raw_output(self) -> Optional[bytes]:
        """What it has saved as it is kept: bytes, or the text of JSON."""
        return _raw(self._row('task_output'))

    def logs(self, fromid: Optional[int] = None) -> List[Tuple[int, str]]:
        """All that it has written until now, in its order: (id, `stream:LEVEL: date time: text`).

        With `fromid`, what came after the line of this id. Times are in the local zone.
        """
        lines: List[Tuple[int, str]] = []
        with session(self._engine) as db:
            while True:
                after = lines[-1][0] if lines else fromid or 0
                page = db.rows('read_log', task=self.tid, after=after, lines=_PAGE)
                lines.extend((row[0], _line(row)) for row in page)
                if len(page) < _PAGE:
                    return lines

    def join(
        self, target: str = 'done', timeout: Union[None, float, datetime.timedelta] = 0
    ) -> None:
        """Waits until it has ended, however; or, with the target `running`, until it has begun.

        `timeout` is in seconds, 0 is none. Raises TimeOut when they are over, and ReworkError when
        the database is away for ten minutes, or the task does not exist, or is not committed; AssertionError for another target.
        """
        if target not in ('running', 'done'):
            raise AssertionError(f"`target` is 'running' or 'done', not {target!r}")
        if isinstance(timeout, datetime.timedelta):
            timeout = timeout.total_seconds()
        waiter = Waiter(self._engine, self.tid, target)
        if not waiter.wait(timeout or None):
            where = 'could not be looked at' if waiter.seen is None else f'is {waiter.seen}'
            raise TimeOut(
                self,
                f'task {self.tid} {where} after {timeout:g} s, and not {target}',
                f'`rework show-task {self.tid}` tells where it is',
            )

    def abort(self, msg: str = 'from Python') -> None:
        """Asks for its end: what is queued never runs, what runs is killed, what has ended stays.

        `msg` says why; it completes the phrase `aborted …`: `by the web shop`.
        """
        with session(self._engine) as db:
            db.rows('abort_task', task=self.tid, reason=msg)

    def save_output(self, *_args: object, **_options: object) -> NoReturn:
        """Of the running task only. Raises ReworkError."""
        raise _inside('save_output')

    def capturelogs(self, *_args: object, **_options: object) -> NoReturn:
        """Of the running task only. Raises ReworkError."""
        raise _inside('capturelogs')

    def _row(self, statement: str) -> Optional[Row]:
        with session(self._engine) as db:
            return db.row(statement, task=self.tid)

    def _fact(self, name: str) -> Any:
        row = self._row('task_facts')
        return None if row is None else row[_FACTS.index(name)]

    def _json(self, name: str) -> Any:
        text = self._fact(name)
        return None if text is None else json.loads(text)


def _read(row: Optional[Row], what: str) -> Any:
    if row is None:
        return None
    text, data, schema = row
    if data is not None:
        raise TypeError(f'cannot decipher the raw bytes: read `.raw_{what}`')
    if text is None:
        return None
    return io.decode(io.specs_of(json.loads(schema)) if schema else None, text)


def _raw(row: Optional[Row]) -> Optional[bytes]:
    if row is None:
        return None
    text, data, _ = row
    return data if text is None else bytes(text, 'utf-8')


def _declared(schema: Optional[str]) -> Optional[List[Dict[str, Any]]]:
    specs = io.specs_of(json.loads(schema)) if schema else None
    return None if specs is None else [spec.to_json() for spec in specs]


def _line(row: Row) -> str:
    _, seconds, stream, level, line = row
    time = datetime.datetime.fromtimestamp(seconds)
    return f'{stream}:{level}: {time:%Y-%m-%d %H:%M:%S}: {line.decode("utf-8", "replace")}'


def _inside(name: str) -> ReworkError:
    return ReworkError(
        f'`{name}` works inside an operation only, on the task that it is called with',
        'from outside, read `.output` and `.logs()`',
    )
