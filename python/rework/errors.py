"""What can go wrong, in words for people: what failed, and what to type next.

Drivers tell the same trouble in many ways; `translated` makes one of it.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Iterator, Optional, Tuple

if TYPE_CHECKING:
    from rework.task import Task


class ReworkError(Exception):
    """What failed; as text it is what the command line prints, behind `error: `."""

    def __init__(self, message: str, hint: Optional[str] = None) -> None:
        super().__init__(message)
        #: What failed.
        self.message = message
        #: What to do about it.
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f'{self.message}\nhint: {self.hint}'


class UnknownOperation(ReworkError):
    """No such operation is registered."""


class Ambiguous(ReworkError, ValueError):
    """Several domains have an operation of this name."""


class BadInput(ReworkError, ValueError):
    """An input that does not fit what its operation declares; nothing is queued."""


class BadInputType(ReworkError, TypeError):
    """As BadInput, where a value is of another type than is declared."""


class Unreachable(ReworkError):
    """The database is away, or this connection to it is lost: worth another try on a new one."""


class TimeOut(ReworkError, TimeoutError):
    """A task was waited for too long. It goes on."""

    def __init__(self, task: Task, message: str, hint: Optional[str] = None) -> None:
        super().__init__(message, hint)
        #: Which one.
        self.task = task


NO_SCHEMA = 'run `rework init-db DSN`; it adds what is missing and drops nothing'
_IS_IT_RUNNING = 'is Postgres running there? `rework dev` brings one of its own'

_DRIVERS = ('psycopg', 'psycopg2', 'psycopg_pool', 'sqlalchemy')

#: That there is no connection is told by these where the server said nothing, else by those codes.
_WITHOUT_ONE = ('OperationalError', 'InterfaceError', 'ResourceClosedError', 'TimeoutError')
_CODES_WITHOUT_ONE = ('3D000', '53300', '57P01', '57P02', '57P03', '57P05', '25P03')

#: Whoever runs a transaction of his own again after these knows them by the driver's classes.
_TO_BE_RUN_AGAIN = ('40001', '40P01')

_PLACE = r'(?:at|on socket) "(?P<host>[^"]+)"(?: \([^)]*\))?(?:, port (?P<port>\d+))?'
_CONNECTING = re.compile(rf'connection to server {_PLACE} failed: (?P<why>.*)')
_NO_DATABASE = re.compile(r'database "(?P<name>.+)" does not exist')
_DENIED = ('password', 'role "', 'pg_hba.conf', 'permission denied', 'authentication')


def translated(error: Exception) -> Optional[ReworkError]:
    """What a driver's error says, as ours; None: it is no driver's, or better known as it is."""
    if isinstance(error, ReworkError) or not _is_of_a_driver(error):
        return None
    cause: Any = getattr(error, 'orig', None) or error
    code, message, hint = _said(cause)
    if code in _TO_BE_RUN_AGAIN:
        return None
    if _has_lost_it(error, code):
        return _lost(cause, message)
    if code == 'RW404' and message.startswith('operation '):
        return UnknownOperation(message, hint)
    if code == 'RW300':
        return Ambiguous(message, hint)
    if code in ('3F000', '42P01', '42883', '42703'):
        return ReworkError(
            f'the rework schema is absent, or not what it should be: {message}', NO_SCHEMA
        )
    if code == '42501':
        hint = 'connect as a role that has this right: `rework init-db DSN --grant RIGHTS=ROLE`'
    return ReworkError(message, hint)


@contextlib.contextmanager
def translating() -> Iterator[None]:
    """What a driver raises within the block becomes a ReworkError."""
    try:
        yield
    except Exception as error:
        ours = translated(error)
        if ours is None:
            raise
        raise ours from error


def _is_of_a_driver(error: Exception) -> bool:
    return any(kind.__module__.partition('.')[0] in _DRIVERS for kind in type(error).__mro__)


def _has_lost_it(error: Exception, code: Optional[str]) -> bool:
    if code is None:
        return any(kind.__name__ in _WITHOUT_ONE for kind in type(error).__mro__)
    return code in _CODES_WITHOUT_ONE or code[:2] in ('08', '28')


def _said(cause: Any) -> Tuple[Optional[str], str, Optional[str]]:
    """The server's own code, sentence and hint, else the driver's first line."""
    code = getattr(cause, 'sqlstate', None) or getattr(cause, 'pgcode', None)
    diag = getattr(cause, 'diag', None)
    sentence = getattr(diag, 'message_primary', None)
    if sentence is not None:
        return code, sentence, getattr(diag, 'message_hint', None)
    # What pg8000 raises holds the fields of the server's answer, by their letters.
    fields = cause.args[0] if cause.args else None
    if isinstance(fields, dict) and 'M' in fields:
        return fields.get('C'), fields['M'], fields.get('H')
    return code, _first_line(cause), None


def _first_line(cause: Any) -> str:
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)


def _lost(cause: Any, why: str) -> ReworkError:
    """No connection, told apart by what can be done about it."""
    text = str(cause)
    found = _CONNECTING.search(text)
    if found is None:
        if 'closed' in text.lower() and 'unexpectedly' not in text:
            return Unreachable('the connection is closed', 'pass one that is open, or a DSN')
        return Unreachable(f'there is no connection to Postgres: {why}', _IS_IT_RUNNING)
    place = ':'.join(filter(None, (found['host'], found['port'])))
    why = re.sub(r'^FATAL:\s*', '', found['why']).strip()
    absent = _NO_DATABASE.search(why)
    if absent:
        name = absent['name']
        return ReworkError(
            f'there is no database `{name}` at {place}', f'make it: `createdb {name}`'
        )
    if any(words in why for words in _DENIED) and 'Permission denied' not in why:
        hint = 'check user and password; `psql DSN` must be let in too'
        return ReworkError(f'Postgres at {place} does not let us in: {why}', hint)
    hint = _IS_IT_RUNNING.replace('there', f'at {place}')
    return Unreachable(f'cannot connect to Postgres at {place}: {why}', hint)
