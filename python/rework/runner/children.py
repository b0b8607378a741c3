"""Processes that an operation has started: whether one is left, and what ends one that comes back out of it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn, Optional

from rework.runner import streams
from rework.runner.failure import trace


def end_child(error: Optional[BaseException]) -> NoReturn:
    """A process that the operation forked off has come back out of it: it ends as any would."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        code = (error.code or 0) & 0xFF
    elif error is not None:
        sys.stderr.write(trace(error) + '\n')
    streams.flush()
    os._exit(code)


def end_process(error: BaseException) -> NoReturn:
    """The end of the runner, and of all runs that are open in it: why is on stderr."""
    sys.stderr.write(trace(error) + '\n')
    streams.flush()
    os._exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)


def has_children() -> bool:
    """Whether a process is left that this one has started."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
