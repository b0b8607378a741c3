"""What the worker says: runs wait for their turn, an abort reaches the run in hand."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Optional, Tuple

from rework.runner.frames import Frame, Head, Link, break_off, encode
from rework.runner.running import Running

#: The one version of the protocol that is spoken here.
VERSION = 1

#: The exit code of a runner whose run is aborted and does not care.
ABORTED = 130


def key(head: Head) -> Tuple[int, int]:
    """Which run a frame is about."""
    return head['task'], head['run']


class Inbox:
    """Takes frames from a link, whichever thread reads them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: Deque[Frame] = deque()
        self._is_leaving = False
        self._current: Optional[Running] = None
        # A run waits, is in hand, or is over: nobody may find it between two of them, least of all an
        # abort, which must not end another run than the one that it names.
        self._lock = threading.Lock()

    @property
    def current(self) -> Optional[Running]:
        """The run in hand."""
        return self._current

    def next(self) -> Optional[Running]:
        """The next run, when it comes, which is the one in hand then; None: there will be no more."""
        while True:
            with self._lock:
                if self._waiting:
                    self._current = Running(self._waiting.popleft(), self._link, self.listen)
                    return self._current
            if self._is_leaving:
                return None
            self.listen(until=lambda: self._waiting or self._is_leaving)

    def end(self) -> None:
        """There is none in hand: whatever is still said of it comes too late."""
        with self._lock:
            self._current = None

    def listen(self, until: Optional[Callable[[], Any]] = None) -> bool:
        """Takes what has come; with `until`, waits for something unless that is true already."""
        return self._link.receive(self._take, until)

    def give_back(self) -> None:
        """All runs that wait, those in the socket too, go back to the worker."""
        while self.listen():
            pass
        with self._lock:
            heads = [frame.head for frame in self._waiting]
            self._waiting.clear()
        for head in heads:
            self._revoked(head)

    def _take(self, frame: Frame) -> None:
        kind = frame.head.get('type')
        if kind == 'run':
            with self._lock:
                self._waiting.append(frame)
        elif kind == 'revoke':
            self._revoke(frame.head)
        elif kind == 'abort':
            if not self._revoke(frame.head):
                self._abort(frame.head)
        elif kind == 'scheduled':
            current = self._current
            if current is not None:
                current.answered(frame.head)
        elif kind == 'exit':
            self._is_leaving = True
        elif kind == 'hello':
            _check_version(frame.head)
        else:
            break_off(f'a frame of type {kind!r}')

    def _revoke(self, head: Head) -> bool:
        with self._lock:
            named = [frame for frame in self._waiting if key(frame.head) == key(head)]
            for frame in named:
                self._waiting.remove(frame)
        for frame in named:
            self._revoked(frame.head)
        return bool(named)

    def _revoked(self, head: Head) -> None:
        task, run = key(head)
        self._link.send(encode({'type': 'revoked', 'task': task, 'run': run}))

    def _abort(self, head: Head) -> None:
        with self._lock:
            current = self._current
            if current is None or current.key != key(head):
                return
            if not current.abort(head.get('reason') or ''):
                os._exit(ABORTED)


def _check_version(head: Head) -> None:
    if head.get('version') != VERSION:
        print(
            f'this `rework` for Python speaks version {VERSION} of the runner protocol, '
            f'the worker speaks {head.get("version")}',
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)
