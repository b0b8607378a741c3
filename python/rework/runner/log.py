"""The records of Python's loggers become lines of the run in hand, each with its level and logger."""

from __future__ import annotations

import logging
import sys

from rework.runner.frames import Link
from rework.runner.inbox import Inbox
from rework.runner.printing import own

#: Levels of the protocol, from the highest on.
_LEVELS = (
    (logging.ERROR, 'ERROR'),
    (logging.WARNING, 'WARNING'),
    (logging.INFO, 'INFO'),
    (logging.DEBUG, 'DEBUG'),
)


def level_name(level: int) -> str:
    """The protocol's word for a level of `logging`."""
    return next((name for least, name in _LEVELS if level >= least), 'TRACE')


class Handler(logging.Handler):
    """Sends each record at once: what the worker has got is kept, even if this process dies."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        super().__init__()
        self._link = link
        self._inbox = inbox

    def emit(self, record: logging.LogRecord) -> None:
        """Where no run is in hand, and in a forked process, it goes to stderr."""
        try:
            text = self.format(record)
            running = own() or self._inbox.current
            if running is None or self._link.is_forked:
                sys.stderr.write(f'{record.name}:{record.levelname}: {text}\n')
                return
            body = text.encode('utf-8', 'replace')
            running.say('log', body, level=level_name(record.levelno), logger=record.name)
        except Exception:
            self.handleError(record)


def install(link: Link, inbox: Inbox) -> None:
    """Everything from INFO on is kept, unless the module or `capturelogs` says otherwise."""
    root = logging.getLogger()
    root.addHandler(Handler(link, inbox))
    root.setLevel(logging.INFO)
