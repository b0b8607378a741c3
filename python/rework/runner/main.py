"""The program of a runner. A worker starts it with the path of a module as its only argument."""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import Any

from rework import __version__
from rework.operation import registry
from rework.runner import log
from rework.runner.execute import Executor
from rework.runner.failure import format_traceback
from rework.runner.frames import Link, encode
from rework.runner.inbox import PROTOCOL_VERSION, Inbox
from rework.runner.loading import load
from rework.runner.reader_thread import ReaderThread
from rework.runner.run import Run


def main() -> None:
    """Import the module at `sys.argv[1]`, and run its operations until the worker sends no more runs."""
    link = Link(_inherited_fd('REWORK_RUNNER_FD'))
    started_runs = _inherited_fd('REWORK_STARTED_RUNS_FD') if 'REWORK_STARTED_RUNS_FD' in os.environ else None
    if 'REWORK_SEND_BUFFER_FD' in os.environ:
        # This runner sends each frame at once and does not use the send buffer.
        os.close(_inherited_fd('REWORK_SEND_BUFFER_FD'))
    inbox = Inbox(link)
    log.install(link, inbox)
    # A crash in C code leaves the Python stack in the log.
    faulthandler.enable(all_threads=False)
    # The module sees the arguments that it would see as a program.
    path = sys.argv.pop(1)
    sys.argv[0] = path
    try:
        load(path)
    except BaseException as error:
        sys.stderr.write(format_traceback(error) + '\n')
        sys.stderr.flush()
        os._exit(1)
    link.send(encode(_hello()))
    executor = Executor(link, inbox, ReaderThread(link, inbox), started_runs)
    while True:
        received = inbox.next()
        if received is None:
            break
        if isinstance(received, Run):
            executor.execute(received)
        else:
            executor.check(received)


def _inherited_fd(variable: str) -> int:
    """Return the descriptor in an environment variable. Processes that an operation starts get neither of the two."""
    fd = int(os.environ.pop(variable))
    os.set_inheritable(fd, False)
    return fd


def _hello() -> dict[str, Any]:
    return {
        'type': 'hello',
        'version': PROTOCOL_VERSION,
        'sdk': f'rework-python {__version__}',
        'operations': [operation.definition() for operation in registry.values()],
        'accepts_runs_ahead': True,
    }
