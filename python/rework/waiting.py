"""Waiting for a task: its end is notified, and looked for once in a while, since what is notified
may get lost (a pooler, a failover). A database that is away is waited for.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Iterator, List, Optional

from rework import connections
from rework.database import dsn_of, is_in_transaction, session
from rework.errors import ReworkError, Unreachable, translating

#: Where the ends of watched tasks are notified; what is said is the task's id.
_CHANNEL = 'rework_end'

_ENDS = ('done', 'failed', 'aborted', 'lost')
_BEGUN = ('running', 'aborting')

#: Seconds between two looks: while ends are notified, and while they are not, first and at last.
_LOOK, _FIRST_LOOK, _LAST_LOOK = 1.0, 0.05, 1.0

#: Seconds that the database may be away, as long as workers wait for it, and between two tries.
_AWAY, _RETRY = 600.0, 1.0


class Waiter:
    """Waits until a task is `running`, or `done`, which is any end."""

    def __init__(self, engine: object, tid: int, target: str) -> None:
        self._tid = tid
        self._given = engine
        self._wanted = _ENDS if target == 'done' else _ENDS + _BEGUN
        # Within a transaction of the caller's own nothing would move, and a mark on the task
        # would hold up whoever is to end it.
        own = is_in_transaction(engine)
        self._engine = (dsn_of(engine) or engine) if own else engine
        self._answered_at = time.monotonic()
        self._pause = _FIRST_LOOK
        #: Where it was at the last look; None: nobody could look.
        self.seen: Optional[str] = None

    def wait(self, timeout: Optional[float]) -> bool:
        """Whether it came so far within so many seconds; None: however long it takes."""
        until = float('inf') if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._has_come() or self._follow(until)
            except Unreachable:
                now = time.monotonic()
                if now - self._answered_at > _AWAY:
                    raise
                if now >= until:
                    return False
                time.sleep(min(_RETRY, until - now))

    def _follow(self, until: float) -> bool:
        with translating(), _ears(self._engine) as ears:
            self._watch()
            while not self._has_come():
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._pass_time(ears, left)
            return True

    def _pass_time(self, ears: Any, left: float) -> None:
        """Until it may have come: it was notified, or it is time to look, or it is over."""
        notified = self._wanted is _ENDS and isinstance(ears, connections.Ears)
        look_at = time.monotonic() + min(left, _LOOK if notified else self._pause)
        self._pause = min(2 * self._pause, _LAST_LOOK)
        while True:
            pause = look_at - time.monotonic()
            if pause <= 0 or str(self._tid) in ears.wait(pause):
                return

    def _watch(self) -> None:
        """Has its end notified. Who may only read looks instead."""
        try:
            with session(self._engine) as db:
                db.rows('watch_task', task=self._tid)
        except Unreachable:
            raise
        except ReworkError:
            pass

    def _has_come(self) -> bool:
        with session(self._engine) as db:
            row = db.row('task_state', task=self._tid)
        self._answered_at = time.monotonic()
        self.seen = None if row is None else row[0]
        if self.seen is None:
            raise self._absent()
        return self.seen in self._wanted

    def _absent(self) -> ReworkError:
        if self._engine is not self._given:
            with session(self._given) as db:
                row = db.row('task_state', task=self._tid)
            if row is not None and row[0] is not None:
                return ReworkError(
                    f'task {self._tid} is not committed: until it is nobody can run it',
                    'commit the transaction before `join`',
                )
        return ReworkError(f'there is no task {self._tid}', 'see `rework list-tasks`')


class _Deaf:
    """Hears nothing."""

    def wait(self, seconds: float) -> List[str]:
        time.sleep(seconds)
        return []


@contextlib.contextmanager
def _ears(engine: object) -> Iterator[Any]:
    """For the ends of tasks; deaf ones where no other connection is to be had."""
    with contextlib.ExitStack() as stack:
        ears: Any = _Deaf()
        with contextlib.suppress(ReworkError), translating():
            dsn = dsn_of(engine)
            if dsn is not None:
                ears = stack.enter_context(connections.listening(dsn, _CHANNEL))
        yield ears
