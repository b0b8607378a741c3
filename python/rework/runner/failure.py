"""Describe an exception for the `failed` frame: its kind, its message in one line, and its traceback."""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any

from rework.retry import GiveUp, PutOff, RetryIn

#: The number of characters that are sent. A frame has a maximal size, and a database row should stay readable.
MAX_MESSAGE_CHARS = 10_000
MAX_TRACEBACK_CHARS = 200_000

_RUNNER_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


def failed_head(error: BaseException) -> dict[str, Any]:
    """Return the head of a `failed` frame for an exception, without the keys that name the run."""
    head: dict[str, Any] = {
        'kind': kind(error),
        'message': message(error)[:MAX_MESSAGE_CHARS],
        # The end is kept: it has the exception and the frames that are nearest to it.
        'traceback': format_traceback(error)[-MAX_TRACEBACK_CHARS:],
    }
    if isinstance(error, GiveUp):
        head['retry'] = 'give_up'
    elif isinstance(error, RetryIn):
        head['retry'] = {'in_ms': error.delay_ms}
    elif isinstance(error, PutOff):
        head['retry'] = {'put_off_ms': error.delay_ms}
    return head


def kind(error: BaseException) -> str:
    """Return the name of the exception's class, with its module unless it is built in or of the main program."""
    cls = type(error)
    return cls.__qualname__ if cls.__module__ in ('builtins', '__main__') else f'{cls.__module__}.{cls.__qualname__}'


def message(error: BaseException) -> str:
    """Return the exception in one line, as Python prints it at the end of a traceback."""
    if isinstance(error, SystemExit):
        return f'the operation raised SystemExit({0 if error.code is None else error.code!r})'
    try:
        text = ' '.join(str(error).split())
    except Exception:
        # The exception's own `__str__` failed.
        text = ''
    name = kind(error)
    return f'{name}: {text}' if text else name


def format_traceback(error: BaseException) -> str:
    """Return the traceback as Python prints it, without the frames of the runner at its start."""
    return ''.join(traceback.format_exception(type(error), error, _skip_runner_frames(error))).rstrip()


def _skip_runner_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame that is neither the runner's nor the import machinery's."""
    frame = error.__traceback__
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if not name.startswith((_RUNNER_FOLDER, '<frozen importlib')):
            return frame
        frame = frame.tb_next
    return None
