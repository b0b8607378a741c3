"""Run the statements of `rework/sql/` on any kind of engine: a DSN, or the caller's own connection or pool.

    with session(engine) as db:
        rows = db.rows('task_details', task=7)

The name of a statement is the name of its file. On a connection of the caller, statements run in the caller's
transaction, which is never committed here. On any other engine they are committed at the end of the block. Drivers
are imported only when they are needed, so that a process that runs operations needs none.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from rework import connections, describe
from rework.errors import NO_SCHEMA, ReworkError, translating

#: The version of the schema that this package needs: the number of its last migration.
SCHEMA_VERSION = 28

Row = tuple[Any, ...]
Opened = Iterator['Session']


class Session:
    """Runs statements on one connection."""

    def __init__(self, run: Callable[[str, Any], Any], driver: Any) -> None:
        self._run = run
        #: The connection object of the driver.
        self.driver = driver

    def rows(self, statement: str, **params: object) -> list[Row]:
        """Run a statement and return its rows. Parameters are None, text, numbers or bytes."""
        found = self._run(statement, params)
        # psycopg2 returns a `bytea` as a memoryview.
        return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]

    def row(self, statement: str, **params: object) -> Row | None:
        """Run a statement and return its first row, or None if it has no rows."""
        return next(iter(self.rows(statement, **params)), None)


@contextlib.contextmanager
def session(engine: object) -> Opened:
    """Give a session on an engine for the block.

    Raise TypeError if `engine` is not an engine. Raise ReworkError if the database cannot be reached, has no rework
    schema of a version that fits, or refuses a statement.
    """
    opener = _opener(engine)
    with translating(), opener(engine) as opened:
        _check_schema(opened)
        yield opened


def is_caller_connection(engine: object) -> bool:
    """Return whether the engine is a connection of the caller, whose transaction may not be committed yet."""
    return _opener(engine) in (_on_connection, _on_alchemy_connection)


def dsn_of(engine: object) -> str | None:
    """Return a DSN of the engine's database, including the password, or None if the driver does not reveal it.

    Raise TypeError if `engine` is not an engine. Raise ReworkError if the database cannot be reached.
    """
    if isinstance(engine, str):
        return connections.libpq_dsn(engine)
    opener = _opener(engine)
    with translating(), opener(engine) as opened:
        return _dsn_of_driver(opened.driver)


def require_dsn(engine: object) -> str:
    """Return the DSN by which the program `rework` reaches the database of an engine.

    Raise ReworkError if the driver does not reveal it.
    """
    dsn = dsn_of(engine)
    if dsn is None:
        raise ReworkError('the driver of this engine does not reveal the DSN of its database', 'pass a DSN')
    return dsn


def _opener(engine: object) -> Callable[[Any], contextlib.AbstractContextManager[Session]]:
    """Return the function that opens a session on this kind of engine. Raise TypeError if there is none."""
    if isinstance(engine, str):
        return _on_dsn
    # Classes are compared by name, because their packages may not be installed.
    for kind in type(engine).__mro__:
        opener = _OPENERS.get((kind.__module__.partition('.')[0], kind.__name__))
        if opener is not None:
            return opener
    raise TypeError(
        f'`engine` is {describe.type_with_article(engine)}: pass a DSN such as '
        "'postgres://user:password@host/database', an SQLAlchemy Engine or Connection, a psycopg "
        'or psycopg2 connection, or a ConnectionPool of psycopg_pool'
    )


@contextlib.contextmanager
def _on_dsn(dsn: str) -> Opened:
    with connections.connection(dsn) as connection:
        yield Session(_run_on_psycopg(connection), connection)


@contextlib.contextmanager
def _on_pool(pool: Any) -> Opened:
    with pool.connection() as connection:
        yield Session(_run_on_psycopg(connection), connection)


@contextlib.contextmanager
def _on_connection(connection: Any) -> Opened:
    is_psycopg2 = type(connection).__module__.startswith('psycopg2')
    run = _run_on_psycopg2(connection) if is_psycopg2 else _run_on_psycopg(connection)
    yield Session(run, connection)


@contextlib.contextmanager
def _on_alchemy_engine(engine: Any) -> Opened:
    with engine.begin() as connection, _on_alchemy_connection(connection) as opened:
        yield opened


@contextlib.contextmanager
def _on_alchemy_connection(connection: Any) -> Opened:
    def run(statement: str, params: Any) -> Any:
        text = sys.modules['sqlalchemy'].text(_sql(statement))
        if not connection.in_transaction():
            # SQLAlchemy 1.4 commits a statement outside of a transaction if it starts with `insert`, `update` or
            # the like. It does not know that a `select` of a function changes data. SQLAlchemy 2 opens a
            # transaction in this case, and ignores this option.
            text = text.execution_options(autocommit=True)
        return connection.execute(text, params)

    proxy = connection.connection
    # SQLAlchemy before 1.4.24 has no `dbapi_connection`.
    driver = getattr(proxy, 'dbapi_connection', None) or proxy.connection
    yield Session(run, driver)


_OPENERS = {
    ('psycopg_pool', 'ConnectionPool'): _on_pool,
    ('psycopg', 'Connection'): _on_connection,
    ('psycopg2', 'connection'): _on_connection,
    ('sqlalchemy', 'Engine'): _on_alchemy_engine,
    ('sqlalchemy', 'Connection'): _on_alchemy_connection,
}


def _run_on_psycopg(connection: Any) -> Callable[[str, Any], Any]:
    def run(statement: str, params: Any) -> Any:
        from psycopg import Cursor, rows

        # The caller may have configured the connection with cursors and rows of other kinds.
        with Cursor(connection, row_factory=rows.tuple_row) as cursor:
            # Prepared statements fail behind a pooler in transaction mode.
            return cursor.execute(_pyformat(statement), params, prepare=False).fetchall()

    return run


def _run_on_psycopg2(connection: Any) -> Callable[[str, Any], Any]:
    def run(statement: str, params: Any) -> Any:
        plain = sys.modules['psycopg2.extensions'].cursor
        with connection.cursor(cursor_factory=plain) as cursor:
            cursor.execute(_pyformat(statement), params)
            return cursor.fetchall()

    return run


@functools.cache
def _sql(statement: str) -> str:
    """Return the text of a statement without its comments: a colon in a comment would be taken for a parameter."""
    text = Path(__file__).with_name('sql').joinpath(f'{statement}.sql').read_text('utf-8')
    return '\n'.join(line for line in text.splitlines() if not line.startswith('--'))


@functools.cache
def _pyformat(statement: str) -> str:
    """Return the text of a statement with its parameters as `%(name)s`, for drivers that do not know `:name`."""
    return re.sub(r':([a-z_]+)', r'%(\1)s', _sql(statement))


#: The databases whose schema was found to fit: host, port and name.
_checked: set[tuple[object, object, object]] = set()


def _check_schema(db: Session) -> None:
    """Check the schema version, once for each database, so that a wrong one is reported before a statement fails."""
    info = getattr(db.driver, 'info', None)
    if info is None:
        return
    database = (info.host, info.port, info.dbname)
    if database in _checked:
        return
    if db.rows('schema_present') != [(True,)]:
        raise ReworkError(f'there is no rework schema in database `{info.dbname}`', NO_SCHEMA)
    ((version, oldest_client),) = db.rows('schema_version')
    if version < SCHEMA_VERSION:
        raise ReworkError(f'the rework schema is at version {version}, this package needs {SCHEMA_VERSION}', NO_SCHEMA)
    if oldest_client > SCHEMA_VERSION:
        raise ReworkError(
            f'the rework schema is at version {version} and serves clients from {oldest_client} on; this '
            f'package is at {SCHEMA_VERSION}',
            f'`{sys.executable} -m pip install --upgrade rework-pg`',
        )
    _checked.add(database)


#: The connection parameters that every DSN gets.
_BASIC_PARAMETERS = ('host', 'port', 'dbname', 'user', 'password')

#: Further parameters that are copied into the DSN. The command line may not know any others.
_OTHER_PARAMETERS = ('hostaddr', 'options', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey')


def _dsn_of_driver(driver: Any) -> str | None:
    info = getattr(driver, 'info', None)
    if info is None:
        return None
    # psycopg has a method `get_parameters`, psycopg2 a property `dsn_parameters`.
    get_parameters = getattr(info, 'get_parameters', None)
    parameters = dict(get_parameters() if get_parameters else info.dsn_parameters)
    # The parameters name all hosts of a list. `info` names only the one that is connected.
    parts = {name: parameters.get(name) or getattr(info, name) for name in _BASIC_PARAMETERS}
    parts.update((name, parameters.get(name)) for name in _OTHER_PARAMETERS)
    return ' '.join(f'{name}={_quoted(str(value))}' for name, value in parts.items() if value)


def _quoted(value: str) -> str:
    """Return a value in the quotes of a libpq connection string."""
    escaped = value.replace('\\', '\\\\').replace("'", "\\'")
    return f"'{escaped}'"
