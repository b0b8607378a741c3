"""Connections that this package opens itself, for an engine that is a DSN.

A connection is kept after use and reused for the next statement on the same DSN. Each statement is committed at
once. Any thread may use them. A forked child process does not use the connections of its parent.
`rework/database.py` handles the other kinds of engines.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import re
import select
import threading
from collections.abc import Iterator
from typing import Any

from rework.errors import ReworkError

#: The number of unused connections that are kept, for all databases together.
_IDLE_MAX = 8

#: Connection parameters by which a broken network is noticed within about a minute, also when the server sends
#: nothing. `tcp_user_timeout` is in milliseconds, the other times are in seconds.
_TIMEOUTS = {
    'connect_timeout': 10,
    'tcp_user_timeout': 10_000,
    'keepalives_idle': 30,
    'keepalives_interval': 10,
    'keepalives_count': 3,
}

_DSN_HINT = 'write it as `postgres://user:password@host:5432/database` or `host=… dbname=…`'

_URL = re.compile(r'(postgres|postgresql)(\+\w+)?://')


def libpq_dsn(text: str) -> str:
    """Return a DSN that libpq reads: a URL of SQLAlchemy loses the name of its driver.

    Raise ReworkError if the text is not a DSN.
    """
    if _URL.match(text):
        return _URL.sub(r'\1://', text, count=1)
    if '=' in text:
        return text
    # The message does not show the text, because it may contain a password.
    raise ReworkError('the text that was passed as `engine` does not name a database', _DSN_HINT)


@contextlib.contextmanager
def connection(dsn: str) -> Iterator[Any]:
    """Give a psycopg connection for the block: an idle one, or a new one.

    Raise ReworkError if the text is not a DSN or psycopg is not installed. Raise the error of psycopg if the
    connection fails.
    """
    dsn = libpq_dsn(dsn)
    taken = _take(dsn)
    try:
        yield taken
    finally:
        _give_back(dsn, taken)


class Listener:
    """Receives the notifications of one channel."""

    def __init__(self, connection: Any, channel: str) -> None:
        self._pgconn = connection.pgconn
        connection.execute(f'listen {channel}')

    def wait(self, seconds: float) -> list[str]:
        """Wait for notifications. Return their payloads, or an empty list after this number of seconds."""
        if _is_readable(self._pgconn, seconds):
            self._pgconn.consume_input()
        return [notification.extra.decode() for notification in iter(self._pgconn.notifies, None)]


@contextlib.contextmanager
def listening(dsn: str, channel: str) -> Iterator[Listener]:
    """Give a listener for the block. It misses no notification that is sent while the block runs."""
    with connection(dsn) as taken:
        import psycopg

        try:
            yield Listener(taken, channel)
        finally:
            # If this fails, the connection is broken, and `_give_back` closes it.
            with contextlib.suppress(psycopg.Error):
                taken.execute('unlisten *')


#: The unused connections with their DSNs, oldest first.
_idle: list[tuple[str, Any]] = []
_lock = threading.Lock()


def _take(dsn: str) -> Any:
    """Return the idle connection to this DSN that was used last, or a new one."""
    while True:
        with _lock:
            index = next((i for i in reversed(range(len(_idle))) if _idle[i][0] == dsn), None)
            if index is None:
                break
            _, idle = _idle.pop(index)
        if _is_alive(idle):
            return idle
        idle.close()
    return _connect(dsn)


def _give_back(dsn: str, taken: Any) -> None:
    """Keep a connection for reuse, or close it if a transaction or statement is still open on it."""
    from psycopg.pq import TransactionStatus

    if taken.info.transaction_status != TransactionStatus.IDLE:
        taken.close()
        return
    with _lock:
        _idle.append((dsn, taken))
        oldest = _idle.pop(0)[1] if len(_idle) > _IDLE_MAX else None
    if oldest is not None:
        oldest.close()


def _is_alive(idle: Any) -> bool:
    """Return whether an idle connection can be used. The server sends data on it only to say that it closes it."""
    return not idle.closed and not _is_readable(idle.pgconn, 0)


def _is_readable(pgconn: Any, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def _connect(dsn: str) -> Any:
    """Open a connection. A DSN without a host means `localhost`, as for the command line; libpq would use a socket."""
    try:
        import psycopg
        from psycopg import conninfo
    except ImportError as error:
        raise ReworkError('psycopg is not installed', "`pip install 'psycopg[binary]'`") from error
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ReworkError('the DSN that was passed as `engine` cannot be read', _DSN_HINT) from error
    names_host = any(name in given for name in ('host', 'hostaddr', 'service'))
    if not names_host and not any(f'PG{name}' in os.environ for name in ('HOST', 'HOSTADDR', 'SERVICE')):
        given['host'] = 'localhost'
    given.setdefault('fallback_application_name', 'rework client')
    params: dict[str, Any] = {**_TIMEOUTS, **given}
    # Prepared statements fail behind a pooler in transaction mode.
    return psycopg.connect('', autocommit=True, prepare_threshold=None, **params)


def _close_idle() -> None:
    with _lock:
        idle, _idle[:] = list(_idle), []
    for _, connection in idle:
        connection.close()


#: In a forked child: the connections of the parent, which must never be closed or garbage-collected here.
_of_the_parent: list[Any] = []


def _forget_after_fork() -> None:
    """Leave the connections to the parent: to close one in the child would end the parent's session too."""
    global _lock
    _of_the_parent.extend(_idle)
    _idle.clear()
    # Another thread of the parent may have owned the lock at the fork.
    _lock = threading.Lock()


atexit.register(_close_idle)
os.register_at_fork(after_in_child=_forget_after_fork)
