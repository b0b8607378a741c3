"""The exceptions of this package, and the translation of driver errors into them.

Each exception says what failed, and where possible gives a hint with what to do next. `translated` turns the errors
of psycopg, psycopg2 and SQLAlchemy into these exceptions, with the messages that the command line prints
(`crates/core/src/db/error.rs`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rework.task import Task


class ReworkError(Exception):
    """The base class of all errors of this package.

    `message` says what failed. `hint` says what to do about it, or is None. `str()` gives both, as the command line
    prints them after `error: `.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f'{self.message}\nhint: {self.hint}'


class UnknownOperation(ReworkError):
    """The operation is not registered."""


class Ambiguous(ReworkError, ValueError):
    """Several domains have an operation of this name, and the caller named none of them."""


class BadInput(ReworkError, ValueError):
    """The input does not satisfy what its operation declares. Nothing is queued."""


class BadInputType(ReworkError, TypeError):
    """A value in the input has another type than its operation declares. Nothing is queued."""


class Unreachable(ReworkError):
    """The database cannot be reached, or the connection to it is lost. A new connection may succeed."""


class TimeOut(ReworkError, TimeoutError):
    """A task did not reach the awaited state in time. The task itself continues. `task` is that task."""

    def __init__(self, task: Task, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.task = task


NO_SCHEMA = 'run `rework init-db DSN`; it adds what is missing and drops nothing'
_IS_IT_RUNNING = 'is Postgres running there? `rework dev` starts a server of its own'

# Driver errors are recognised by the names of their modules and classes, and by the text of their messages. The
# classes themselves cannot be used, because this package must not import a driver that the program does not have.
# The texts are needed because libpq reports a failed connection by a message only, without an error code.
# tests/test_engine_errors.py runs these rules with each driver that is installed.

#: The top-level packages whose exceptions are translated.
_DRIVERS = ('psycopg', 'psycopg2', 'psycopg_pool', 'sqlalchemy')

#: Exception classes that mean "no connection", if the server sent no error code.
_NO_CONNECTION_CLASSES = ('OperationalError', 'InterfaceError', 'ResourceClosedError', 'TimeoutError')

#: Error codes (SQLSTATE) that mean "no connection". All codes of the classes 08 and 28 mean it too.
_NO_CONNECTION_CODES = ('3D000', '53300', '57P01', '57P02', '57P03', '57P05', '25P03')

#: Serialization failures and deadlocks. They are not translated: a program that repeats its own transaction after
#: one of these recognises it by the class of its driver.
_RETRYABLE_CODES = ('40001', '40P01')

_SERVER = r'(?:at|on socket) "(?P<host>[^"]+)"(?: \([^)]*\))?(?:, port (?P<port>\d+))?'
_CONNECTING = re.compile(rf'connection to server {_SERVER} failed: (?P<why>.*)')
_NO_DATABASE = re.compile(r'database "(?P<name>.+)" does not exist')
_DENIED = ('password', 'role "', 'pg_hba.conf', 'permission denied', 'authentication')


def translated(error: Exception) -> ReworkError | None:
    """Return the error of this package that corresponds to a driver's error.

    Return None if the error is not a driver's, or if its own class is more useful to the program.
    """
    if isinstance(error, ReworkError) or not _is_driver_error(error):
        return None
    # SQLAlchemy wraps the driver's error, and keeps it in `orig`.
    cause: Any = getattr(error, 'orig', None) or error
    code, message, hint = _code_message_hint(cause)
    if code in _RETRYABLE_CODES:
        return None
    if _is_connection_error(error, code):
        return _connection_error(cause, message)
    # The functions of the schema raise codes of their own, RW…
    if code == 'RW404' and message.startswith('operation '):
        return UnknownOperation(message, hint)
    if code == 'RW300':
        return Ambiguous(message, hint)
    # An undefined schema, table, function or column.
    if code in ('3F000', '42P01', '42883', '42703'):
        return ReworkError(f'the rework schema is absent, or not what it should be: {message}', NO_SCHEMA)
    # Insufficient privilege.
    if code == '42501':
        hint = 'connect as a role that has this right: `rework init-db DSN --grant RIGHTS=ROLE`'
    return ReworkError(message, hint)


@contextlib.contextmanager
def translating() -> Iterator[None]:
    """Raise the errors that a driver raises within the block as a ReworkError, with the original as its cause."""
    try:
        yield
    except Exception as error:
        ours = translated(error)
        if ours is None:
            raise
        raise ours from error


def _is_driver_error(error: Exception) -> bool:
    return any(kind.__module__.partition('.')[0] in _DRIVERS for kind in type(error).__mro__)


def _is_connection_error(error: Exception, code: str | None) -> bool:
    if code is None:
        return any(kind.__name__ in _NO_CONNECTION_CLASSES for kind in type(error).__mro__)
    return code in _NO_CONNECTION_CODES or code[:2] in ('08', '28')


def _code_message_hint(cause: Any) -> tuple[str | None, str, str | None]:
    """Return the error code, message and hint of the server, or the driver's first line if the server sent none."""
    # psycopg has `sqlstate`, psycopg2 has `pgcode`.
    code = getattr(cause, 'sqlstate', None) or getattr(cause, 'pgcode', None)
    diag = getattr(cause, 'diag', None)
    message = getattr(diag, 'message_primary', None)
    if message is not None:
        return code, message, getattr(diag, 'message_hint', None)
    # pg8000, which SQLAlchemy may use, passes a dict with the fields of the server's response. The keys are the letters
    # by which the protocol of Postgres names the fields.
    fields = cause.args[0] if cause.args else None
    if isinstance(fields, dict) and 'M' in fields:
        return fields.get('C'), fields['M'], fields.get('H')
    return code, _first_line(cause), None


def _first_line(cause: Any) -> str:
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)


def _connection_error(cause: Any, why: str) -> ReworkError:
    """Return the error for a missing connection. The hint depends on what the user can do about it."""
    text = str(cause)
    match = _CONNECTING.search(text)
    if match is None:
        if 'closed' in text.lower() and 'unexpectedly' not in text:
            return Unreachable('the connection is closed', 'pass one that is open, or a DSN')
        return Unreachable(f'there is no connection to Postgres: {why}', _IS_IT_RUNNING)
    server = ':'.join(filter(None, (match['host'], match['port'])))
    why = re.sub(r'^FATAL:\s*', '', match['why']).strip()
    no_database = _NO_DATABASE.search(why)
    if no_database:
        name = no_database['name']
        return ReworkError(f'there is no database `{name}` at {server}', f'create it: `createdb {name}`')
    # `Permission denied` with a capital letter is the operating system's message about a socket file.
    if any(phrase in why for phrase in _DENIED) and 'Permission denied' not in why:
        hint = 'check user and password: `psql DSN` must be able to log in too'
        return ReworkError(f'Postgres at {server} refused the login: {why}', hint)
    hint = _IS_IT_RUNNING.replace('there', f'at {server}')
    return Unreachable(f'cannot connect to Postgres at {server}: {why}', hint)
