"""A second pair of ears while a run is long: aborts are heard in the middle of it.

The thread that runs operations reads between runs. To wake another one for each run would cost more
than a short run, so this one looks every few milliseconds whether one has become long.
"""

from __future__ import annotations

import select
import threading
import time

from rework.runner.frames import Link
from rework.runner.inbox import Inbox

#: A run is long, and heard for, from so many seconds on; what is said is heard so much later at most.
PACE = 0.02

#: After so many looks at nothing it sleeps until the next run.
_PATIENCE = 50


class Watch:
    """The thread."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        self._link = link
        self._inbox = inbox
        self._sleeps = False
        self._bell = threading.Event()
        threading.Thread(target=self._listen, name='rework-watch', daemon=True).start()

    def wake(self) -> None:
        """A run begins."""
        if self._sleeps:
            self._bell.set()

    def _listen(self) -> None:
        seen, idle = None, 0
        while True:
            current = self._inbox.current
            if current is not None and current is seen:
                if select.select([self._link.fileno()], [], [], PACE)[0]:
                    if self._inbox.current is current:
                        self._inbox.listen()
                continue
            idle = idle + 1 if current is None else 0
            seen = current
            if idle > _PATIENCE:
                self._sleep()
                idle = 0
            time.sleep(PACE)

    def _sleep(self) -> None:
        self._bell.clear()
        self._sleeps = True
        # One that began before it was said that we sleep has rung no bell.
        if self._inbox.current is None:
            self._bell.wait()
        self._sleeps = False
