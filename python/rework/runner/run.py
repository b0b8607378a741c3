"""One run of a task, from the frame that starts it to its last frame: its input, its abort, and what it sends."""

from __future__ import annotations

import os
import struct
import threading
import time
from typing import Any, Callable

from rework.runner.frames import Frame, Link, encode

#: One slot in the memory of started runs: the ids of the task and of the run.
_SLOT = struct.Struct('<qq')

#: The number of bytes that are kept until their line is complete. The worker divides longer lines there as well.
_MAX_PARTIAL_LINE = 1 << 18

#: Seconds after which the beginning of a line is sent, although the line is not complete.
PARTIAL_LINE_DELAY = 0.2

#: The levels at which the lines of the two output streams are logged.
LEVEL_OF_STREAM = {'stdout': 'INFO', 'stderr': 'WARNING'}


class Run:
    """One run of a task.

    `frame` is the `run` frame of the worker. `listen` reads and handles further frames (`Inbox.listen`).
    """

    def __init__(self, frame: Frame, link: Link, listen: Any) -> None:
        self.head = frame.head
        #: The input as stored, or None if there is none.
        self.body: bytes | None = frame.body if frame.head.get('has_input') else None
        #: The ids of the task and of the run.
        self.key: tuple[int, int] = (frame.head['task'], frame.head['run'])
        self._link = link
        self._listen = listen
        self._ids = {'task': self.key[0], 'run': self.key[1]}
        #: Whether the operation has read whether it must end. Then it is expected to end by itself.
        self.handles_abort = False
        #: Why the run must end, or None if it need not.
        self.abort_reason: str | None = None
        #: Set when the run must end.
        self.aborted = threading.Event()
        #: The number of the last `schedule` frame of this run.
        self._last_number = 0
        #: The answers to the `schedule` frames by their numbers. None stands for an answer that has not arrived.
        self._answers: dict[int, dict[str, Any] | None] = {}
        self._answers_lock = threading.Lock()
        #: Whether no more tasks may be scheduled, because the run is ending.
        self._is_closed = False
        #: The time at which the operation started, in microseconds of the monotonic clock.
        self.started_us = 0
        # Threads may outlive the run, and must not send anything after its last frame. The lock is reentrant: while a
        # thread sends, the garbage collector may run a `__del__` that prints or logs.
        self._sending = threading.RLock()
        self._has_ended = False
        #: Cancels the coroutine of the run if several runs are open in the process, else None.
        self.cancel: Callable[[], Any] | None = None
        #: Calls `send_partial_lines` after PARTIAL_LINE_DELAY if several runs are open in the process, else None.
        self.send_partial_lines_later: Callable[[], Any] | None = None
        #: Whether `send_partial_lines_later` was called and `send_partial_lines` was not called since.
        self._is_sending_planned = False
        #: For each stream the output behind the last complete line, without what was sent of it.
        self._partial_lines: dict[str, bytes] = {}
        self._printing = threading.RLock()

    def note_started(self, started_runs: int | None) -> None:
        """Note in shared memory that this run starts. Must be called before the operation's first instruction.

        `started_runs` is the descriptor of that memory, or None if there is none. If this process dies, the worker
        reads there whether the run had started. A run that had not started is requeued.
        """
        if started_runs is not None:
            os.pwrite(started_runs, _SLOT.pack(*self.key), _SLOT.size * self.head.get('slot', 0))
        self.started_us = monotonic_us()

    def send(self, type: str, body: bytes = b'', **head: Any) -> None:
        """Send a frame about this run. Do nothing if the run has ended, or in a forked child process."""
        if self._link.is_forked:
            return
        with self._sending:
            if not self._has_ended:
                self._link.send(encode({'type': type, **self._ids, **head}, body))

    @property
    def is_forked(self) -> bool:
        """Return whether this process is a child that the runner forked, and not the runner itself."""
        return self._link.is_forked

    @property
    def has_ended(self) -> bool:
        """Return whether the last frame of the run was made. Nothing may be sent after it."""
        return self._has_ended

    def write_output(self, stream: str, data: bytes) -> None:
        """Send what the run's code has written to `stdout` or `stderr`, one frame for each complete line.

        The beginning of an incomplete line is sent a moment later, so that people see questions and progress bars.
        """
        with self._printing:
            *lines, partial = (self._partial_lines.pop(stream, b'') + data).split(b'\n')
            # A `__del__` may have printed since the `pop` above, in this thread.
            self._partial_lines[stream] = self._partial_lines.get(stream, b'') + partial
            for line in lines:
                self.send('log', line, level=LEVEL_OF_STREAM[stream], logger=stream)
            if len(partial) > _MAX_PARTIAL_LINE:
                self.send_partial_lines()
            elif partial and not self._is_sending_planned and self.send_partial_lines_later is not None:
                self._is_sending_planned = True
                self.send_partial_lines_later()

    def send_partial_lines(self) -> None:
        """Send what is written of incomplete lines. The worker joins it with what follows. Also called at the end."""
        with self._printing:
            self._is_sending_planned = False
            for stream in list(self._partial_lines):
                partial = self._partial_lines.pop(stream, b'')
                if partial:
                    self.send('log', partial, level=LEVEL_OF_STREAM[stream], logger=stream, partial=True)

    def last_frame(self, type: str, **head: Any) -> bytes:
        """Return the last frame of the run, with the times of its start and end. After this, `send` does nothing."""
        with self._sending:
            self._has_ended = True
        span = {'started_us': self.started_us, 'ended_us': monotonic_us()}
        return encode({'type': type, **self._ids, 'span': span, **head})

    def abort(self, reason: str) -> bool:
        """Tell the operation that the run must end. Return whether the operation handles that by itself."""
        self.abort_reason = reason
        self.aborted.set()
        return self.handles_abort

    def schedule(self, head: dict[str, Any], body: bytes) -> int:
        """Request a new task from the worker, wait for the answer, and return the id of the task.

        Raise RuntimeError with the reason if the task cannot be scheduled.
        """
        if self._link.is_forked:
            raise RuntimeError('a forked process cannot schedule a task: its parent can')
        with self._answers_lock:
            if self._is_closed:
                raise RuntimeError('the run that schedules this task has ended')
            self._last_number += 1
            number = self._last_number
            self._answers[number] = None
        try:
            self.send('schedule', body, number=number, **head)
            answer = self._wait_for_answer(number)
        finally:
            # Also if the frame could not be encoded: then no answer comes, and the end of the run must not wait for it.
            with self._answers_lock:
                del self._answers[number]
        if answer.get('task') is None:
            raise RuntimeError(answer.get('error') or 'the task could not be scheduled')
        return int(answer['task'])

    def handle_scheduled(self, head: dict[str, Any]) -> None:
        """Store the worker's answer to a `schedule` frame."""
        with self._answers_lock:
            if head['number'] in self._answers:
                self._answers[head['number']] = head

    def wait_for_answers(self) -> None:
        """Wait until all `schedule` frames are answered, and then allow no more.

        Threads of the operation may still wait for answers. The protocol demands all answers before the end of a run.
        """

        def try_to_close() -> bool:
            with self._answers_lock:
                self._is_closed = all(answer is not None for answer in self._answers.values())
                return self._is_closed

        while not try_to_close():
            self._listen(until=try_to_close)

    def _wait_for_answer(self, number: int) -> dict[str, Any]:
        def has_arrived() -> bool:
            return self._answers[number] is not None

        while not has_arrived():
            self._listen(until=has_arrived)
        return self._answers[number] or {}


def monotonic_us() -> int:
    """Return the time of CLOCK_MONOTONIC in microseconds. The worker reads the same clock."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
