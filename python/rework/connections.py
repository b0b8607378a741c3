"""Connections of our own to a database that is named by a DSN: kept for the next statement, or
listening for what is notified.

They commit each statement, may be asked for in any thread, and stay with the process that made
them: one that was forked off makes new ones.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import re
import select
import threading
from typing import Any, Dict, Iterator, List, Tuple

from rework.errors import ReworkError

#: Connections that are kept, of all databases together.
_IDLE_MAX = 8

#: A line that was cut is noticed within seconds, also where nobody says anything.
_PATIENCE = {
    'connect_timeout': 10,
    'tcp_user_timeout': 10_000,
    'keepalives_idle': 30,
    'keepalives_interval': 10,
    'keepalives_count': 3,
}

_AS_A_DSN = 'give it as `postgres://user:password@host:5432/database`, or as `host=… dbname=…`'

_URL = re.compile(r'(postgres|postgresql)(\+\w+)?://')


def plain(text: str) -> str:
    """The DSN in a text: without the driver that SQLAlchemy's URLs may name.

    Raises ReworkError for what is none.
    """
    if _URL.match(text):
        return _URL.sub(r'\1://', text, count=1)
    if '=' in text:
        return text
    # It may hold a password all the same.
    raise ReworkError('the text that was passed as `engine` does not name a database', _AS_A_DSN)


@contextlib.contextmanager
def connection(dsn: str) -> Iterator[Any]:
    """A connection for the block."""
    dsn = plain(dsn)
    taken = _take(dsn)
    try:
        yield taken
    finally:
        _give_back(dsn, taken)


class Ears:
    """Hears what is notified on a channel."""

    def __init__(self, connection: Any, channel: str) -> None:
        self._line = connection.pgconn
        connection.execute(f'listen {channel}')

    def wait(self, seconds: float) -> List[str]:
        """What was said, as soon as something was; nothing after so many seconds."""
        if _is_readable(self._line, seconds):
            self._line.consume_input()
        return [said.extra.decode() for said in iter(self._line.notifies, None)]


@contextlib.contextmanager
def listening(dsn: str, channel: str) -> Iterator[Ears]:
    """Ears for the block: nothing that is notified within it is missed."""
    with connection(dsn) as taken:
        import psycopg

        try:
            yield Ears(taken, channel)
        finally:
            # Where this fails it is not kept.
            with contextlib.suppress(psycopg.Error):
                taken.execute('unlisten *')


_idle: List[Tuple[str, Any]] = []
_lock = threading.Lock()


def _take(dsn: str) -> Any:
    while True:
        with _lock:
            at = next((i for i in reversed(range(len(_idle))) if _idle[i][0] == dsn), None)
            if at is None:
                break
            _, kept = _idle.pop(at)
        if _lives(kept):
            return kept
        kept.close()
    return _connect(dsn)


def _give_back(dsn: str, taken: Any) -> None:
    """It is kept where nothing is under way on it."""
    from psycopg.pq import TransactionStatus

    if taken.info.transaction_status != TransactionStatus.IDLE:
        taken.close()
        return
    with _lock:
        _idle.append((dsn, taken))
        oldest = _idle.pop(0)[1] if len(_idle) > _IDLE_MAX else None
    if oldest is not None:
        oldest.close()


def _lives(kept: Any) -> bool:
    """Whether its server has said nothing: all that it would say is that it leaves."""
    return not kept.closed and not _is_readable(kept.pgconn, 0)


def _is_readable(line: Any, seconds: float) -> bool:
    poll = select.poll()
    poll.register(line.socket, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def _connect(dsn: str) -> Any:
    """As the program `rework` understands a DSN: without a host it is `localhost`, not a socket."""
    try:
        import psycopg
        from psycopg import conninfo
    except ImportError as error:
        raise ReworkError('psycopg is not installed', "`pip install 'psycopg[binary]'`") from error
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ReworkError(
            'the DSN that was passed as `engine` cannot be read', _AS_A_DSN
        ) from error
    if not any(name in given for name in ('host', 'hostaddr', 'service')):
        if not any(f'PG{name}' in os.environ for name in ('HOST', 'HOSTADDR', 'SERVICE')):
            given['host'] = 'localhost'
    given.setdefault('fallback_application_name', 'rework client')
    params: Dict[str, Any] = {**_PATIENCE, **given}
    return psycopg.connect('', autocommit=True, prepare_threshold=None, **params)


def _close_idle() -> None:
    with _lock:
        kept, _idle[:] = list(_idle), []
    for _, one in kept:
        one.close()


_of_the_parent: List[Any] = []


def _forget() -> None:
    """After a fork: to close them here would end them there, and so would their collection."""
    global _lock
    _of_the_parent.extend(_idle)
    _idle.clear()
    _lock = threading.Lock()


atexit.register(_close_idle)
os.register_at_fork(after_in_child=_forget)
