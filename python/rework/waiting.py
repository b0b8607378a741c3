"""Wait until a task has ended or started. `Task.join` uses it.

The server notifies the end of a task. A notification can get lost, in a pooler or when a server fails over, so the
state is also polled. While the database cannot be reached, the waiting goes on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Union

from rework import connections
from rework.database import dsn_of, is_caller_connection, session
from rework.errors import ReworkError, Unreachable, translating

#: The channel on which ends of tasks are notified. The payload is the id of the task.
_CHANNEL = 'rework_end'

_ENDED = ('done', 'failed', 'aborted', 'lost')
_STARTED = ('running', 'aborting')

#: Seconds between two polls while ends are notified. The poll only covers for lost notifications.
_POLL_WHILE_NOTIFIED = 1.0

#: Seconds before the first poll and between later polls while nothing is notified. The interval doubles in between:
#: short tasks are noticed quickly, and long ones cause little load.
_FIRST_POLL, _LONGEST_POLL = 0.05, 1.0

#: Seconds that the database may be unreachable before `join` gives up. Workers wait equally long.
_MAX_UNREACHABLE = 600.0

#: Seconds between two attempts to reach the database.
_RETRY_DELAY = 1.0


class Waiter:
    """Waits until a task has ended, or with the target `running` until it has started."""

    def __init__(self, engine: object, tid: int, target: str) -> None:
        self._tid = tid
        self._given_engine = engine
        self._awaited = _ENDED if target == 'done' else _ENDED + _STARTED
        # The caller's own transaction may have a snapshot in which the state never changes. Also, it must not update
        # the task, because the worker that ends the task would wait for its lock. So another connection is used.
        if is_caller_connection(engine):
            self._engine = dsn_of(engine) or engine
        else:
            self._engine = engine
        self._reached_at = time.monotonic()
        self._poll_interval = _FIRST_POLL
        #: The state at the last poll, or None if no poll has succeeded.
        self.state: str | None = None

    def wait(self, timeout: float | None) -> bool:
        """Wait up to this number of seconds, or without a limit if it is None. Return whether the state was reached.

        Raise ReworkError if the task does not exist or is not committed, or if the database stays unreachable.
        """
        deadline = float('inf') if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._is_reached() or self._listen_until(deadline)
            except Unreachable:
                now = time.monotonic()
                if now - self._reached_at > _MAX_UNREACHABLE:
                    raise
                if now >= deadline:
                    return False
                time.sleep(min(_RETRY_DELAY, deadline - now))

    def _listen_until(self, deadline: float) -> bool:
        with translating(), _listener(self._engine) as listener:
            self._request_notification()
            # The state is read after the listener exists, so that no end falls between the two.
            while not self._is_reached():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._sleep(listener, left)
            return True

    def _sleep(self, listener: AnyListener, left: float) -> None:
        """Wait until the task is notified, or the next poll is due, or `left` seconds have passed."""
        # Only ends are notified, so waiting for a start means polling.
        is_notified = self._awaited is _ENDED and isinstance(listener, connections.Listener)
        poll_at = time.monotonic() + min(left, _POLL_WHILE_NOTIFIED if is_notified else self._poll_interval)
        self._poll_interval = min(2 * self._poll_interval, _LONGEST_POLL)
        while True:
            pause = poll_at - time.monotonic()
            if pause <= 0 or str(self._tid) in listener.wait(pause):
                return

    def _request_notification(self) -> None:
        """Request a notification of the task's end. A role without the right to do so relies on polls."""
        try:
            with session(self._engine) as db:
                db.rows('notify_task_end', task=self._tid)
        except Unreachable:
            raise
        except ReworkError:
            pass

    def _is_reached(self) -> bool:
        with session(self._engine) as db:
            row = db.row('task_state', task=self._tid)
        self._reached_at = time.monotonic()
        self.state = None if row is None else row[0]
        if self.state is None:
            raise self._missing_task_error()
        return self.state in self._awaited

    def _missing_task_error(self) -> ReworkError:
        if self._engine is not self._given_engine:
            with session(self._given_engine) as db:
                row = db.row('task_state', task=self._tid)
            if row is not None and row[0] is not None:
                return ReworkError(
                    f'task {self._tid} is not committed: until then no worker can run it',
                    'commit the transaction before `join`',
                )
        return ReworkError(f'there is no task {self._tid}', 'see `rework list-tasks`')


class _NoListener:
    """Receives no notifications. It stands in for a listener if no connection of our own is possible."""

    def wait(self, seconds: float) -> list[str]:
        time.sleep(seconds)
        return []


AnyListener = Union[connections.Listener, _NoListener]


@contextlib.contextmanager
def _listener(engine: object) -> Iterator[AnyListener]:
    """Give a listener for ends of tasks, or a `_NoListener` if the driver does not reveal the DSN."""
    with contextlib.ExitStack() as stack:
        listener: AnyListener = _NoListener()
        with contextlib.suppress(ReworkError), translating():
            dsn = dsn_of(engine)
            if dsn is not None:
                listener = stack.enter_context(connections.listening(dsn, _CHANNEL))
        yield listener
