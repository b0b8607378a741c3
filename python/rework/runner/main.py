"""The program of a runner: `main(PATH)`, started by a worker."""

from __future__ import annotations

import faulthandler
import os
import sys

from rework import __version__
from rework.operation import registry
from rework.runner import log
from rework.runner.execute import Executor
from rework.runner.failure import trace
from rework.runner.frames import Link, encode
from rework.runner.inbox import VERSION, Inbox
from rework.runner.loading import load
from rework.runner.watch import Watch


def main() -> None:
    """Runs the operations of the module at `sys.argv[1]` until the worker has no more for them."""
    link = Link(_inherited('REWORK_RUNNER_FD'))
    page = _inherited('REWORK_PAGE_FD') if 'REWORK_PAGE_FD' in os.environ else None
    if 'REWORK_OUTBOX_FD' in os.environ:
        os.close(_inherited('REWORK_OUTBOX_FD'))
    inbox = Inbox(link)
    log.install(link, inbox)
    faulthandler.enable(all_threads=False)
    path = sys.argv.pop(1)
    sys.argv[0] = path
    try:
        load(path)
    except BaseException as error:
        _say_why(error)
        os._exit(1)
    link.send(encode(_hello()))
    executor = Executor(link, inbox, Watch(link, inbox), page)
    while True:
        running = inbox.next()
        if running is None:
            break
        executor.run(running)


def _inherited(variable: str) -> int:
    """A descriptor for the runner alone: what an operation starts must not hold it."""
    fd = int(os.environ.pop(variable))
    os.set_inheritable(fd, False)
    return fd


def _hello() -> dict:  # type: ignore[type-arg]
    return {
        'type': 'hello',
        'version': VERSION,
        'sdk': f'rework-python {__version__}',
        'operations': [operation.definition() for operation in registry.values()],
        'ahead': True,
    }


def _say_why(error: BaseException) -> None:
    sys.stderr.write(trace(error) + '\n')
    sys.stderr.flush()
