"""Find the program `rework` and run it.

`api.prepare`, `api.freeze_operations` and `api.workers` use it. It gets the DSN by an environment variable, because
other users of the machine can read the arguments of a process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence

from rework.errors import ReworkError

#: The environment variable that may contain the path of the program.
PATH_VARIABLE = 'REWORK_BINARY'


def path() -> str:
    """Return the path of the program: from `$REWORK_BINARY`, else next to this Python, else in `PATH`.

    Raise ReworkError if it is not found.
    """
    configured = os.environ.get(PATH_VARIABLE)
    if configured:
        if _is_program(configured):
            return configured
        raise ReworkError(
            f'`{configured}` is not a program', f'set {PATH_VARIABLE} to the path of `rework`, or unset it'
        )
    found = next(filter(_is_program, _installed_paths()), None) or shutil.which('rework')
    if found is None:
        raise ReworkError('the program `rework` is not installed', f'`{sys.executable} -m pip install rework-pg`')
    return found


def _installed_paths() -> Iterator[str]:
    """Yield the paths at which pip installs the program."""
    yield os.path.join(os.path.dirname(sys.executable), 'rework')
    yield os.path.join(sysconfig.get_path('scripts'), 'rework')


def _is_program(candidate: str) -> bool:
    return os.path.isfile(candidate) and os.access(candidate, os.X_OK)


def environment(dsn: str) -> dict[str, str]:
    """Return the environment of the program: that of this process, with the DSN. No `rework.toml` is read."""
    ours = {name: value for name, value in os.environ.items() if name != 'REWORK_LISTEN_DSN'}
    return {**ours, 'REWORK_DSN': dsn, 'REWORK_CONFIG': os.devnull, 'NO_COLOR': '1'}


def run(dsn: str, args: Sequence[str], stdin: bytes = b'', accepted: Sequence[int] = (0,)) -> str:
    """Run the program with these arguments on this database, and return what it prints on stdout.

    Raise ReworkError with the program's own message if its exit code is not an accepted one, or if it prints an
    error. Raise ReworkError if it cannot be found or executed.
    """
    program = path()
    try:
        ended = subprocess.run([program, *args], input=stdin, capture_output=True, env=environment(dsn), check=False)
    except OSError as error:
        raise ReworkError(f'`{program}` cannot be executed: {error.strerror}') from error
    stderr = ended.stderr.decode('utf-8', 'replace')
    if ended.returncode not in accepted or _ERROR.search(stderr):
        raise error_from_stderr(stderr, f'`rework {args[0]}` ended with {_describe_end(ended.returncode)}')
    return ended.stdout.decode('utf-8', 'replace')


_ERROR = re.compile(r'^error: ', re.MULTILINE)
_LABEL = re.compile(r'^(error|caused by|hint|warning): ', re.MULTILINE)


def error_from_stderr(stderr: str, default: str) -> ReworkError:
    """Return the error that the program printed on stderr, or one with the message `default` if it printed nothing."""
    parts = _LABEL.split(stderr[_index_of_error(stderr) :])[1:]
    labelled = list(zip(parts[::2], (text.strip() for text in parts[1::2])))
    message = ': '.join(text for label, text in labelled if label in ('error', 'caused by'))
    hint = next((text for label, text in labelled if label == 'hint'), None)
    return ReworkError(message or stderr.strip() or default, hint)


def _index_of_error(stderr: str) -> int:
    """Return the index of the error. Warnings may stand before it, and have hints of their own."""
    match = _ERROR.search(stderr)
    return match.start() if match else len(stderr)


def _describe_end(code: int) -> str:
    """Return an exit code as text. `subprocess` reports death by a signal as a negative number."""
    return f'exit code {code}' if code >= 0 else f'signal {-code}'
