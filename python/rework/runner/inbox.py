"""What the worker says: runs wait for their turn, an abort reaches the run in hand."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple

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
        #: Those in hand; more than one in a crowd.
        self._open: Dict[Tuple[int, int], Running] = {}
        #: Called when a run has come, by whichever thread read it.
        self.on_run: Optional[Callable[[], Any]] = None
        # A run waits, is in hand, or is over: nobody may find it between two of them, least of all an
        # abort, which must not end another run than the one that it names.
        self._lock = threading.Lock()

    @property
    def current(self) -> Optional[Running]:
        """The one run in hand; None: there is none, or are several."""
        return self._current

    def next(self) -> Optional[Running]:
        """The next run, when it comes, which is the one in hand then; None: there will be no more."""
        while True:
            with self._lock:
                if self._waiting:
                    self._current = self._begin(self._waiting.popleft())
                    return self._current
            if self._is_leaving:
                return None
            self.listen(until=lambda: self._waiting or self._is_leaving)

    def next_of(self, operation: Tuple[str, str]) -> Optional[Running]:
        """The next run that has come, if it is of this operation, to be in hand beside others."""
        with self._lock:
            self._current = None
            if not self._waiting:
                return None
            head = self._waiting[0].head
            if (head['domain'], head['operation']) != operation:
                return None
            return self._begin(self._waiting.popleft())

    def _begin(self, frame: Frame) -> Running:
        running = Running(frame, self._link, self.listen)
        self._open[running.key] = running
        return running

    def end(self, running: Running) -> None:
        """It is not in hand any more: whatever is still said of it comes too late."""
        with self._lock:
            self._current = None
            self._open.pop(running.key, None)

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
            if self.on_run is not None:
                self.on_run()
        elif kind == 'revoke':
            self._revoke(frame.head)
        elif kind == 'abort':
            if not self._revoke(frame.head):
                self._abort(frame.head)
        elif kind == 'scheduled':
            parent = frame.head['parent'], frame.head['parent_run']
            running = self._open.get(parent)
            if running is not None:
                running.answered(frame.head)
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
            running = self._open.get(key(head))
            if running is None:
                return
            if running.abort(head.get('reason') or ''):
                return
            if running.cancel is not None:
                running.cancel()
            elif running is self._current:
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
