"""What is said of an exception: its kind, its message in one line, and where it came from."""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any, Dict, Optional

from rework.retry import GiveUp, RetryIn

#: Characters that are kept: a frame is bounded.
MOST_MESSAGE = 10_000
MOST_TRACEBACK = 200_000

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


def failed(error: BaseException) -> Dict[str, Any]:
    """The head of a `failed`, but for what names the run."""
    head: Dict[str, Any] = {
        'kind': kind(error),
        'message': message(error)[:MOST_MESSAGE],
        # Its end says most.
        'traceback': trace(error)[-MOST_TRACEBACK:],
    }
    if isinstance(error, GiveUp):
        head['retry'] = 'give_up'
    elif isinstance(error, RetryIn):
        head['retry'] = {'in_ms': error.delay_ms}
    return head


def kind(error: BaseException) -> str:
    """The exception's name, with its module where that is not Python's own."""
    of = type(error)
    return (
        of.__qualname__
        if of.__module__ in ('builtins', '__main__')
        else f'{of.__module__}.{of.__qualname__}'
    )


def message(error: BaseException) -> str:
    """In one line, as Python ends a traceback."""
    if isinstance(error, SystemExit):
        return f'it asked to exit with {0 if error.code is None else error.code!r}'
    try:
        text = ' '.join(str(error).split())
    except Exception:
        text = ''
    name = kind(error)
    return f'{name}: {text}' if text else name


def trace(error: BaseException) -> str:
    """As Python prints it, from where it leaves the runner's own files."""
    return ''.join(traceback.format_exception(type(error), error, outside(error))).rstrip()


def outside(error: BaseException) -> Optional[TracebackType]:
    """The first frame that is neither the runner's nor the import machinery's."""
    found = error.__traceback__
    while found is not None:
        name = found.tb_frame.f_code.co_filename
        if not name.startswith((_OURS, '<frozen importlib')):
            return found
        found = found.tb_next
    return None
