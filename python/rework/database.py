"""The database, whatever is passed as `engine`: a DSN, or what the caller's own code has of it.

    with session(engine) as db:
        rows = db.rows('task_facts', task=7)

A statement is a file of `sql/`. What is a transaction of the caller's own is worked in and never
committed; anything else is committed at the end of the block. Drivers are imported where they are
needed: who runs operations needs none.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Set, Tuple

from rework import connections, telling
from rework.errors import NO_SCHEMA, ReworkError, translating

#: The schema that this package was written for: the number of its last migration.
SCHEMA_VERSION = 19

Row = Tuple[Any, ...]
Opened = Iterator['Session']


class Session:
    """Statements on one connection."""

    def __init__(self, run: Callable[[str, Any], Any], driver: Any) -> None:
        self._run = run
        #: The driver's own connection.
        self.driver = driver

    def rows(self, statement: str, **params: object) -> List[Row]:
        """The rows of a statement of `sql/`. Parameters are None, text, numbers or bytes."""
        found = self._run(statement, params)
        return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]

    def row(self, statement: str, **params: object) -> Optional[Row]:
        """Its first row, if it has one."""
        return next(iter(self.rows(statement, **params)), None)


@contextlib.contextmanager
def session(engine: object) -> Opened:
    """A connection of the engine, with a schema that fits.

    Raises TypeError for what is no engine, ReworkError for what the database refuses.
    """
    opened = _opener(engine)
    with translating():
        with opened(engine) as found:
            _check_schema(found)
            yield found


def is_in_transaction(engine: object) -> bool:
    """Whether it is a connection of the caller's own: what it sees may not be committed."""
    return _opener(engine) in (_of_connection, _of_alchemy)


def dsn_of(engine: object) -> Optional[str]:
    """A DSN of the same database, password included; None where the driver does not tell.

    Raises TypeError and ReworkError as `session` does.
    """
    if isinstance(engine, str):
        return connections.plain(engine)
    opened = _opener(engine)
    with translating():
        with opened(engine) as found:
            return _dsn_of_driver(found.driver)


def _opener(engine: object) -> Callable[[Any], contextlib.AbstractContextManager[Session]]:
    if isinstance(engine, str):
        return _of_dsn
    for kind in type(engine).__mro__:
        opened = _OPENERS.get((kind.__module__.partition('.')[0], kind.__name__))
        if opened is not None:
            return opened
    raise TypeError(
        f'`engine` is {telling.kind_of(engine)}: pass a DSN such as '
        "'postgres://user:password@host/database', an SQLAlchemy Engine or Connection, a psycopg "
        'or psycopg2 connection, or a ConnectionPool of psycopg_pool'
    )


@contextlib.contextmanager
def _of_dsn(dsn: str) -> Opened:
    with connections.connection(dsn) as connection:
        yield Session(_on_psycopg(connection), connection)


@contextlib.contextmanager
def _of_pool(pool: Any) -> Opened:
    with pool.connection() as connection:
        yield Session(_on_psycopg(connection), connection)


@contextlib.contextmanager
def _of_connection(connection: Any) -> Opened:
    on = _on_psycopg2 if type(connection).__module__.startswith('psycopg2') else _on_psycopg
    yield Session(on(connection), connection)


@contextlib.contextmanager
def _of_engine(engine: Any) -> Opened:
    with engine.begin() as connection, _of_alchemy(connection) as found:
        yield found


@contextlib.contextmanager
def _of_alchemy(connection: Any) -> Opened:
    def run(statement: str, params: Any) -> Any:
        text = sys.modules['sqlalchemy'].text(_sql(statement))
        if not connection.in_transaction():
            # SQLAlchemy before 2.0 commits then what changes something, and does not see that a
            # function does. Newer ones open a transaction, and know no such option.
            text = text.execution_options(autocommit=True)
        return connection.execute(text, params)

    proxy = connection.connection
    driver = getattr(proxy, 'dbapi_connection', None) or proxy.connection
    yield Session(run, driver)


_OPENERS = {
    ('psycopg_pool', 'ConnectionPool'): _of_pool,
    ('psycopg', 'Connection'): _of_connection,
    ('psycopg2', 'connection'): _of_connection,
    ('sqlalchemy', 'Engine'): _of_engine,
    ('sqlalchemy', 'Connection'): _of_alchemy,
}


def _on_psycopg(connection: Any) -> Callable[[str, Any], Any]:
    def run(statement: str, params: Any) -> Any:
        from psycopg import Cursor, rows

        # Whatever kinds of cursors and rows the connection makes for its owner.
        with Cursor(connection, row_factory=rows.tuple_row) as cursor:
            # Prepared statements get lost behind a pooler.
            return cursor.execute(_pyformat(statement), params, prepare=False).fetchall()

    return run


def _on_psycopg2(connection: Any) -> Callable[[str, Any], Any]:
    def run(statement: str, params: Any) -> Any:
        plain = sys.modules['psycopg2.extensions'].cursor
        with connection.cursor(cursor_factory=plain) as cursor:
            cursor.execute(_pyformat(statement), params)
            return cursor.fetchall()

    return run


@functools.lru_cache(maxsize=None)
def _sql(statement: str) -> str:
    """Without its comments, where colons are no parameters."""
    text = Path(__file__).with_name('sql').joinpath(f'{statement}.sql').read_text('utf-8')
    return '\n'.join(line for line in text.splitlines() if not line.startswith('--'))


@functools.lru_cache(maxsize=None)
def _pyformat(statement: str) -> str:
    return re.sub(r':([a-z_]+)', r'%(\1)s', _sql(statement))


#: Where a schema was found to fit: host, port and name of the database.
_fitting: Set[Tuple[object, object, object]] = set()


def _check_schema(db: Session) -> None:
    """Once for each database: absent, too old or too new is told before anything else fails."""
    info = getattr(db.driver, 'info', None)
    if info is None:
        return
    where = (info.host, info.port, info.dbname)
    if where in _fitting:
        return
    if db.rows('schema_present') != [(True,)]:
        raise ReworkError(f'there is no rework schema in database `{info.dbname}`', NO_SCHEMA)
    ((has, serves),) = db.rows('schema_version')
    if has < SCHEMA_VERSION:
        raise ReworkError(
            f'the rework schema is at version {has}, this package needs {SCHEMA_VERSION}',
            NO_SCHEMA,
        )
    if serves > SCHEMA_VERSION:
        raise ReworkError(
            f'the rework schema is at version {has} and serves clients from {serves} on; this '
            f'package is at {SCHEMA_VERSION}',
            f'`{sys.executable} -m pip install --upgrade rework-pg`',
        )
    _fitting.add(where)


_ALWAYS = ('host', 'port', 'dbname', 'user', 'password')

#: Others than these the command line may not know.
_KEPT = ('hostaddr', 'options', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey')


def _dsn_of_driver(driver: Any) -> Optional[str]:
    info = getattr(driver, 'info', None)
    if info is None:
        return None
    # psycopg gives them by a function, psycopg2 as a property.
    ask = getattr(info, 'get_parameters', None)
    parameters = dict(ask() if ask else info.dsn_parameters)
    # Of several hosts all are wanted, not only the one that answered.
    parts = {name: parameters.get(name) or getattr(info, name) for name in _ALWAYS}
    parts.update((name, parameters.get(name)) for name in _KEPT)
    return ' '.join(f'{name}={_quoted(str(value))}' for name, value in parts.items() if value)


def _quoted(value: str) -> str:
    escaped = value.replace('\\', '\\\\').replace("'", "\\'")
    return f"'{escaped}'"
