"""A thread that reads from the worker while an operation runs, so that an abort takes effect in the middle of a run.

The main thread reads only between runs. To wake another thread at the start of each run would cost more than a short
run takes. So this thread checks every 20 ms whether the same run is still open, and reads only if it is.
"""

from __future__ import annotations

import select
import threading
import time

from rework.runner.frames import Link
from rework.runner.inbox import Inbox

#: Seconds between two checks. A run that is older than one or two intervals can receive an abort, within one more.
CHECK_INTERVAL = 0.02

#: The number of checks without an open run after which the thread sleeps until the next run: one second.
_IDLE_CHECKS = 50


class ReaderThread:
    """Starts the thread."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        self._link = link
        self._inbox = inbox
        self._is_asleep = False
        self._wake_up = threading.Event()
        threading.Thread(target=self._loop, name='rework-reader', daemon=True).start()

    def run_starts(self) -> None:
        """Wake the thread up, if it is asleep, because a run starts."""
        if self._is_asleep:
            self._wake_up.set()

    def _loop(self) -> None:
        previous, idle_checks = None, 0
        while True:
            current = self._inbox.current
            if current is not None and current is previous:
                is_readable = select.select([self._link.fileno()], [], [], CHECK_INTERVAL)[0]
                # If the run has ended meanwhile, the main thread reads.
                if is_readable and self._inbox.current is current:
                    self._inbox.listen()
                continue
            idle_checks = idle_checks + 1 if current is None else 0
            previous = current
            if idle_checks > _IDLE_CHECKS:
                self._sleep()
                idle_checks = 0
            time.sleep(CHECK_INTERVAL)

    def _sleep(self) -> None:
        self._wake_up.clear()
        self._is_asleep = True
        # A run that started before `_is_asleep` was set did not wake this thread up.
        if self._inbox.current is None:
            self._wake_up.wait()
        self._is_asleep = False
