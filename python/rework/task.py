"""A task as a program outside of its operation sees it.

`rework/context.py` has the task that an operation is called with.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from rework.compat import TaskCompat, join_timeout
from rework.database import Row, session
from rework.errors import TimeOut
from rework.log_lines import read_lines
from rework.snapshot import TaskSnapshot
from rework.stored import (
    decode_metadata,
    decode_value,
    specs_as_dicts,
    specs_of_schema,
    stored_bytes,
    traceback_of,
)
from rework.waiting import Waiter

# Programs written for rework 0.17 import `TimeOut` from here.
__all__ = ['Task', 'TimeOut']

#: The columns of `sql/task_details.sql`.
_DETAILS = (
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


class Task(TaskCompat):
    """One request to run an operation.

    `tid` is the id of the task, `operation` the id of its operation. `created` says whether `api.schedule` has created
    the task, or has found it by its unique key; it is None if the task comes from elsewhere. To read these three does
    not query the database. Each of the other attributes sends one query whenever it is read, and raises ReworkError if
    that fails. To read several attributes, use `snapshot`. If the task does not exist, they are None.
    """

    def __init__(self, engine: object, tid: int, operation: int | None, created: bool | None = None) -> None:
        self._engine = engine
        self.tid = tid
        self.operation = operation
        self.created = created

    @classmethod
    def byid(cls, engine: object, tid: int) -> Task:
        """Return the task with this id, after a query for its operation, which is None if there is no such task."""
        task = cls(engine, int(tid), None)
        task.operation = task._detail('operation')
        return task

    def __repr__(self) -> str:
        return f'Task({self.tid}, operation={self.operation})'

    @property
    def id(self) -> int:
        """Return the id of the task, as `tid` does. Does not query the database."""
        return self.tid

    def snapshot(self) -> TaskSnapshot | None:
        """Read all attributes of the task in one query. Return None if the task does not exist.

        Raise ReworkError if the database cannot be reached or refuses the query.
        """
        row = self._row('task_snapshot')
        return None if row is None else TaskSnapshot.from_row(self.tid, row)

    @property
    def state(self) -> str | None:
        """Return the state of the task. Each read queries the database.

        It is `delayed`, `waiting`, `queued`, `running` or `aborting`, or one of the ends `done`, `failed`, `aborted`
        and `lost`.
        """
        row = self._row('task_state')
        return None if row is None else row[0]

    @property
    def aborted(self) -> bool | None:
        """Return whether the end of the task was requested. Each read queries the database.

        The state is `aborting` or `aborted` then.
        """
        state = self.state
        return None if state is None else state in ('aborting', 'aborted')

    @property
    def worker(self) -> int | None:
        """Return the id of the worker that claimed the task last, or None. Each read queries the database."""
        return self._detail('worker')  # type: ignore[no-any-return]

    @property
    def attempt(self) -> int | None:
        """Return the number of attempts that were used. Each read queries the database."""
        return self._detail('attempt')  # type: ignore[no-any-return]

    @property
    def deathinfo(self) -> str | None:
        """Return why the task ended as it did, such as `exit code 3`, or None. Each read queries the database."""
        return self._detail('reason')  # type: ignore[no-any-return]

    @property
    def traceback(self) -> str | None:
        """Return the traceback of the exception that the operation raised, or None. Each read queries the database."""
        return traceback_of(self._detail('error'))

    @property
    def progress(self) -> dict[str, Any] | None:
        """Return the last progress report, or None. Each read queries the database.

        The keys of the dict are `done`, `total` and `message`.
        """
        text = self._detail('progress')
        return None if text is None else json.loads(text)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Return the metadata that the task was scheduled with, or an empty dict. Each read queries the database."""
        row = self._row('task_details')
        return None if row is None else decode_metadata(row[_DETAILS.index('metadata')])

    @property
    def inputspec(self) -> list[dict[str, Any]] | None:
        """Return the declared inputs of the operation, or None if it declares none. Each read queries the database.

        Each input is a dict with the keys `name`, `type`, `required`, `choices` and `default`.
        """
        return specs_as_dicts(specs_of_schema(self._detail('input_schema')))

    @property
    def outputspec(self) -> list[dict[str, Any]] | None:
        """Return the declared outputs of the operation, or None if it declares none. Each read queries the database.

        Each output is a dict with the keys of `inputspec`.
        """
        return specs_as_dicts(specs_of_schema(self._detail('output_schema')))

    @property
    def input(self) -> Any:
        """Return the input, or None if there is none. Each read queries the database, and evaluates moments anew.

        Raise TypeError if the task was scheduled with raw bytes. Raise ValueError if the input does not satisfy the
        declaration of the operation.
        """
        return _decode_row(self._row('task_input'), 'input')

    @property
    def raw_input(self) -> bytes | None:
        """Return the input as stored, or None: raw bytes, or the text of JSON. Each read queries the database."""
        return _bytes_of_row(self._row('task_input'))

    @property
    def output(self) -> Any:
        """Return the output that was saved, or None if there is none. Each read queries the database.

        Raise TypeError if the operation saved raw bytes. Raise ValueError if the output does not satisfy the
        declaration of the operation.
        """
        return _decode_row(self._row('task_output'), 'output')

    @property
    def raw_output(self) -> bytes | None:
        """Return the output as stored, or None: raw bytes, or the text of JSON. Each read queries the database."""
        return _bytes_of_row(self._row('task_output'))

    def logs(self, fromid: int | None = None) -> list[tuple[int, str]]:
        """Return the log of the task, in order, as pairs `(id, 'stream:LEVEL: date time: text')`.

        With `fromid`, return only the lines after the one with this id. Times are in the local zone. A line that has no
        newline yet is returned as far as it was written. When it has grown, it has a higher id. If a carriage return
        overwrites a line, as progress bars do, only the text behind the last one is returned.

        Raise ReworkError if the database cannot be reached or refuses a query.
        """
        with session(self._engine) as db:
            return read_lines(db, self.tid, fromid or 0)

    def join(self, target: str = 'done', timeout: None | float | datetime.timedelta = 0) -> None:
        """Wait until the task has ended, successfully or not, or with the target `running` until it has started.

        `timeout` is a number of seconds or a timedelta. None means no limit, and for compatibility so does 0.

        Raise TimeOut after `timeout`. Raise ReworkError if the task does not exist or is not committed, or if
        the database cannot be reached for ten minutes. Raise ValueError for another target.
        """
        if target not in ('running', 'done'):
            raise ValueError(f"`target` must be 'running' or 'done', not {target!r}")
        seconds = join_timeout(timeout)
        waiter = Waiter(self._engine, self.tid, target)
        if not waiter.wait(seconds):
            found = 'could not be read' if waiter.state is None else f'is {waiter.state}'
            raise TimeOut(
                self,
                f'task {self.tid} {found} after {seconds:g} s, and not {target}',
                f'see `rework show-task {self.tid}`',
            )

    def abort(self, msg: str = 'from Python') -> None:
        """Request the end of the task. A queued task never runs, and a running task is killed after its grace period.

        `msg` is the reason. It completes the phrase `aborted …`: `by the web shop`. A task that has ended stays as
        it is.

        Raise ReworkError if the task does not exist or the database cannot be reached.
        """
        with session(self._engine) as db:
            db.rows('abort_task', task=self.tid, reason=msg)

    def _row(self, statement: str) -> Row | None:
        with session(self._engine) as db:
            return db.row(statement, task=self.tid)

    def _detail(self, name: str) -> Any:
        """Return the column `name` of `sql/task_details.sql`. None if it is null, or if the task does not exist."""
        row = self._row('task_details')
        return None if row is None else row[_DETAILS.index(name)]


def _decode_row(row: Row | None, what: str) -> Any:
    """Return the value of a row of `sql/task_input.sql` or `sql/task_output.sql`."""
    if row is None:
        return None
    text, data, schema = row
    return decode_value(text if data is None else data, data is not None, specs_of_schema(schema), what)


def _bytes_of_row(row: Row | None) -> bytes | None:
    if row is None:
        return None
    text, data, _ = row
    return stored_bytes(text, data)
