"""Child processes of a runner: whether one is left, and how a forked child ends that returns from the operation."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from rework.runner import streams
from rework.runner.failure import format_traceback


def end_child(error: BaseException | None) -> NoReturn:
    """End a forked child process that returned from the operation, or raised `error`, as any program would end.

    The child must not go on with the work of the runner, whose parent process is still there.
    """
    code = 0 if error is None else 1
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        # The operating system keeps the lowest eight bits of an exit code.
        code = (error.code or 0) & 0xFF
    elif error is not None:
        sys.stderr.write(format_traceback(error) + '\n')
    streams.flush()
    # Without `os._exit` the exit handlers of the parent would run in the child too.
    os._exit(code)


def end_process(error: BaseException) -> NoReturn:
    """End the runner, and so all runs that are open in it. The traceback of `error` goes to stderr."""
    sys.stderr.write(format_traceback(error) + '\n')
    streams.flush()
    os._exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)


def has_children() -> bool:
    """Return whether this process has a child process, running or ended."""
    try:
        # WNOWAIT leaves the exit status of an ended child to the operation that may wait for it.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
