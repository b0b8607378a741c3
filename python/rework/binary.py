"""The program `rework`: where it is, and how it is asked.

It is given the database by its environment: whoever can list processes can read their arguments.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from typing import Dict, Iterator, Sequence

from rework.errors import ReworkError

#: Names the program, where it is not the installed one.
VARIABLE = 'REWORK_BINARY'


def path() -> str:
    """Where it is: as `$REWORK_BINARY` says, else as installed with this package, else in PATH.

    Raises ReworkError where there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if _is_program(named):
            return named
        raise ReworkError(
            f'`{named}` is no program', f'set {VARIABLE} to where `rework` is, or unset it'
        )
    found = next(filter(_is_program, _beside_python()), None) or shutil.which('rework')
    if found is None:
        raise ReworkError(
            'there is no program `rework`', f'`{sys.executable} -m pip install rework-pg`'
        )
    return found


def _beside_python() -> Iterator[str]:
    yield os.path.join(os.path.dirname(sys.executable), 'rework')
    yield os.path.join(sysconfig.get_path('scripts'), 'rework')


def _is_program(place: str) -> bool:
    return os.path.isfile(place) and os.access(place, os.X_OK)


def environment(dsn: str) -> Dict[str, str]:
    """Our own, and the database. What a `rework.toml` says of others does not count."""
    ours = {name: value for name, value in os.environ.items() if name != 'REWORK_LISTEN_DSN'}
    return {**ours, 'REWORK_DSN': dsn, 'REWORK_CONFIG': os.devnull, 'NO_COLOR': '1'}


def run(dsn: str, args: Sequence[str], stdin: bytes = b'', accepted: Sequence[int] = (0,)) -> str:
    """What it prints when it is run with these arguments on this database.

    Raises ReworkError with its own words where it ends with another code than an accepted one, or
    says that something failed.
    """
    program = path()
    try:
        ended = subprocess.run(
            [program, *args], input=stdin, capture_output=True, env=environment(dsn), check=False
        )
    except OSError as error:
        raise ReworkError(f'`{program}` cannot be executed: {error.strerror}') from error
    said = ended.stderr.decode('utf-8', 'replace')
    if ended.returncode not in accepted or _ERROR.search(said):
        raise refusal(said, f'`rework {args[0]}` ended with {_in_words(ended.returncode)}')
    return ended.stdout.decode('utf-8', 'replace')


_ERROR = re.compile(r'^error: ', re.MULTILINE)
_LABEL = re.compile(r'^(error|caused by|hint|warning): ', re.MULTILINE)


def refusal(said: str, otherwise: str) -> ReworkError:
    """The error in what the program has said; `otherwise` where it has said nothing."""
    parts = _LABEL.split(said[_first(said) :])[1:]
    told = list(zip(parts[::2], (words.strip() for words in parts[1::2])))
    message = ': '.join(words for label, words in told if label in ('error', 'caused by'))
    hint = next((words for label, words in told if label == 'hint'), None)
    return ReworkError(message or said.strip() or otherwise, hint)


def _first(said: str) -> int:
    """Warnings, with hints of their own, may stand before it."""
    found = _ERROR.search(said)
    return found.start() if found else len(said)


def _in_words(code: int) -> str:
    return f'exit code {code}' if code >= 0 else f'signal {-code}'
