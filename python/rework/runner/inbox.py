"""Handle the frames that the worker sends: queue runs, abort and revoke them, and pass on answers.

Any thread may read the socket, through `Inbox.listen`. `execute.py` takes the queued runs and executes them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from typing import Any, Callable

from rework.runner.frames import PROTOCOL_ERROR_EXIT_CODE, Frame, Head, Link, encode, exit_on_protocol_error
from rework.runner.run import Run

#: The version of the protocol that this runner speaks.
PROTOCOL_VERSION = 1

#: The exit code of a runner whose run is aborted and does not end by itself: that of a shell command after Ctrl-C.
ABORTED_EXIT_CODE = 130


def run_key(head: Head) -> tuple[int, int]:
    """Return the key of the run that a frame is about: the ids of the task and of the run."""
    return head['task'], head['run']


class Inbox:
    """Handles the frames that arrive on a link, and knows which runs are queued and which are open."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._queue: deque[Frame] = deque()
        #: The `check` frames that are not answered.
        self._checks: deque[Frame] = deque()
        self._is_exiting = False
        self._current: Run | None = None
        #: The open runs by their keys. There are several only for an operation with `concurrency`.
        self._open: dict[tuple[int, int], Run] = {}
        #: Called after a run was queued, by the thread that read it.
        self.on_run: Callable[[], Any] | None = None
        #: Called after a check was queued, by the thread that read it.
        self.on_check: Callable[[], Any] | None = None
        # A run is queued, open or ended. The lock makes each change atomic for other threads. In particular, an abort
        # must never end another run than the one that it names.
        self._lock = threading.Lock()

    @property
    def current(self) -> Run | None:
        """Return the open run, or None if no run or several runs are open."""
        return self._current

    def next(self) -> Run | Frame | None:
        """Wait for a run or the frame of a check, and return it. Return None if the worker will send no more.

        A run is the current run then.
        """
        while True:
            with self._lock:
                if self._checks:
                    return self._checks.popleft()
                if self._queue:
                    self._current = self._open_run(self._queue.popleft())
                    return self._current
            if self._is_exiting:
                return None
            self.listen(until=lambda: self._queue or self._checks or self._is_exiting)

    def next_check(self) -> Frame | None:
        """Return the frame of the next check, or None. Does not wait."""
        with self._lock:
            return self._checks.popleft() if self._checks else None

    def next_of(self, operation: tuple[str, str]) -> Run | None:
        """Return the next queued run if it is of this operation (domain and name), or None. Does not wait.

        The run is open at the same time as others, so there is no current run then.
        """
        with self._lock:
            self._current = None
            if not self._queue:
                return None
            head = self._queue[0].head
            if (head['domain'], head['operation']) != operation:
                return None
            return self._open_run(self._queue.popleft())

    def _open_run(self, frame: Frame) -> Run:
        run = Run(frame, self._link, self.listen)
        self._open[run.key] = run
        return run

    def close(self, run: Run) -> None:
        """Close a run. Frames about it that arrive later are ignored."""
        with self._lock:
            self._current = None
            self._open.pop(run.key, None)

    def listen(self, until: Callable[[], Any] | None = None) -> bool:
        """Read and handle frames once. Return whether there were any. `Link.receive` describes `until`."""
        return self._link.receive(self._handle, until)

    def give_back(self) -> None:
        """Return all queued runs to the worker, also those that are still in the socket."""
        while self.listen():
            pass
        with self._lock:
            heads = [frame.head for frame in self._queue]
            self._queue.clear()
        for head in heads:
            self._send_revoked(head)

    def _handle(self, frame: Frame) -> None:
        kind = frame.head.get('type')
        if kind == 'run':
            with self._lock:
                self._queue.append(frame)
            if self.on_run is not None:
                self.on_run()
        elif kind == 'check':
            with self._lock:
                self._checks.append(frame)
            if self.on_check is not None:
                self.on_check()
        elif kind == 'revoke':
            self._revoke(frame.head)
        elif kind == 'abort':
            # An abort of a queued run revokes it.
            if not self._revoke(frame.head):
                self._abort(frame.head)
        elif kind == 'scheduled':
            parent = frame.head['parent'], frame.head['parent_run']
            run = self._open.get(parent)
            if run is not None:
                run.handle_scheduled(frame.head)
        elif kind == 'exit':
            self._is_exiting = True
        elif kind == 'hello':
            _check_version(frame.head)
        else:
            exit_on_protocol_error(f'a frame of type {kind!r}')

    def _revoke(self, head: Head) -> bool:
        """Remove a run from the queue and confirm it to the worker. Return False if it is not queued."""
        with self._lock:
            named = [frame for frame in self._queue if run_key(frame.head) == run_key(head)]
            for frame in named:
                self._queue.remove(frame)
        for frame in named:
            self._send_revoked(frame.head)
        return bool(named)

    def _send_revoked(self, head: Head) -> None:
        task, run = run_key(head)
        self._link.send(encode({'type': 'revoked', 'task': task, 'run': run}))

    def _abort(self, head: Head) -> None:
        """Abort an open run. If the operation does not handle it itself, cancel its coroutine or end the process."""
        with self._lock:
            run = self._open.get(run_key(head))
            if run is None:
                return
            if run.abort(head.get('reason') or ''):
                return
            if run.cancel is not None:
                run.cancel()
            elif run is self._current:
                os._exit(ABORTED_EXIT_CODE)


def _check_version(head: Head) -> None:
    if head.get('version') != PROTOCOL_VERSION:
        print(
            f'this `rework` for Python speaks version {PROTOCOL_VERSION} of the runner protocol, '
            f'the worker speaks {head.get("version")}',
            file=sys.stderr,
            flush=True,
        )
        os._exit(PROTOCOL_ERROR_EXIT_CODE)
