"""Send the records of Python's loggers to the worker, as lines in the log of the run whose code logs."""

from __future__ import annotations

import logging
import sys

from rework.runner.frames import Link
from rework.runner.inbox import Inbox
from rework.runner.printing import current_run

#: The levels of the protocol, highest first, each with the lowest level of `logging` that it stands for.
_LEVELS = (
    (logging.ERROR, 'ERROR'),
    (logging.WARNING, 'WARNING'),
    (logging.INFO, 'INFO'),
    (logging.DEBUG, 'DEBUG'),
)


def level_name(level: int) -> str:
    """Return the level of the protocol for a level of `logging`."""
    return next((name for lowest, name in _LEVELS if level >= lowest), 'TRACE')


class Handler(logging.Handler):
    """Sends each record at once. What the worker has received is kept, even if this process dies."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        super().__init__()
        self._link = link
        self._inbox = inbox

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record. Outside of a run, and in a forked child, write it to stderr."""
        try:
            text = self.format(record)
            run = current_run() or self._inbox.current
            if run is None or self._link.is_forked:
                sys.stderr.write(f'{record.name}:{record.levelname}: {text}\n')
                return
            body = text.encode('utf-8', 'replace')
            run.send('log', body, level=level_name(record.levelno), logger=record.name)
        except Exception:
            self.handleError(record)


def install(link: Link, inbox: Inbox) -> None:
    """Add the handler to the root logger, with the level INFO. A module or `capturelogs` may change the level."""
    root = logging.getLogger()
    root.addHandler(Handler(link, inbox))
    root.setLevel(logging.INFO)
