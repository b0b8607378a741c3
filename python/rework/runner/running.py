"""A run in hand: what the worker is told of it, and what it answers."""

from __future__ import annotations

import os
import struct
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple

from rework.runner.frames import Frame, Link, encode

_PLACE = struct.Struct('<qq')

#: Bytes of a line that are kept back until it is whole.
_MOST_OF_A_LINE = 1 << 18


class Running:
    """One run, from its first instruction to its last frame."""

    def __init__(self, frame: Frame, link: Link, listen: Any) -> None:
        self.head = frame.head
        self.body: Optional[bytes] = frame.body if frame.head.get('has_input') else None
        self.key: Tuple[int, int] = (frame.head['task'], frame.head['run'])
        self._link = link
        self._listen = listen
        self._about = {'task': self.key[0], 'run': self.key[1]}
        #: Whether the operation has asked if it is to end, so that it will see to it by itself.
        self.asks = False
        #: Why it is to end; None: it is not.
        self.abort_reason: Optional[str] = None
        self.aborted = threading.Event()
        self._number = 0
        self._outstanding: Dict[int, Optional[Dict[str, Any]]] = {}
        self._numbering = threading.Lock()
        #: No task is scheduled any more.
        self._is_closed = False
        self.began_us = 0
        # After its last frame nothing of it may be sent, and threads may outlive it. Taken again by the same
        # thread, where garbage is collected meanwhile and an object's end prints or logs.
        self._saying = threading.RLock()
        self._is_over = False
        #: What ends it where it is to end and others are open beside it.
        self.cancel: Optional[Callable[[], Any]] = None
        #: By stream: what was printed and is no whole line yet.
        self._printed: Dict[str, bytes] = {}
        self._printing = threading.RLock()

    def note_begun(self, page: Optional[int]) -> None:
        """Before the first instruction: whoever finds this process dead sees that it had begun."""
        if page is not None:
            os.pwrite(page, _PLACE.pack(*self.key), _PLACE.size * self.head.get('slot', 0))
        self.began_us = now_us()

    def say(self, type: str, body: bytes = b'', **head: Any) -> None:
        """A frame of this run; dropped where it is over, or another process's."""
        if self._link.is_forked:
            return
        with self._saying:
            if not self._is_over:
                self._link.send(encode({'type': type, **self._about, **head}, body))

    @property
    def is_forked(self) -> bool:
        """This is not the runner, but a process that it forked off."""
        return self._link.is_forked

    @property
    def is_over(self) -> bool:
        """Its last frame is on its way."""
        return self._is_over

    def printed(self, stream: str, level: str, data: bytes) -> None:
        """What its code has printed: lines go out when they are whole."""
        with self._printing:
            *lines, rest = (self._printed.pop(stream, b'') + data).split(b'\n')
            if len(rest) > _MOST_OF_A_LINE:
                lines, rest = [*lines, rest], b''
            self._printed[stream] = self._printed.get(stream, b'') + rest
            for line in lines:
                self.say('log', line, level=level, logger=stream)

    def flush_printed(self) -> None:
        """What is no whole line goes out as one."""
        with self._printing:
            for stream, rest in list(self._printed.items()):
                if rest:
                    level = 'INFO' if stream == 'stdout' else 'WARNING'
                    self.say('log', rest, level=level, logger=stream)
            self._printed.clear()

    def last(self, type: str, **head: Any) -> bytes:
        """Its last frame, which says how long it took. Nothing may be said any more."""
        with self._saying:
            self._is_over = True
        span = {'began_us': self.began_us, 'ended_us': now_us()}
        return encode({'type': type, **self._about, 'span': span, **head})

    def abort(self, reason: str) -> bool:
        """It is to end. False: it has never asked, and will not see to it."""
        self.abort_reason = reason
        self.aborted.set()
        return self.asks

    def schedule(self, head: Dict[str, Any], body: bytes) -> int:
        """Has the worker schedule a task; its id. Raises RuntimeError with the worker's reason."""
        if self._link.is_forked:
            raise RuntimeError('a forked process cannot schedule a task: its parent can')
        with self._numbering:
            if self._is_closed:
                raise RuntimeError('the run that asks for a task is over')
            self._number += 1
            number = self._number
            self._outstanding[number] = None
        try:
            self.say('schedule', body, number=number, **head)
            answer = self._wait(number)
        finally:
            # What could not be said has no answer to be waited for.
            with self._numbering:
                del self._outstanding[number]
        if answer.get('task') is None:
            raise RuntimeError(answer.get('error') or 'the task could not be scheduled')
        return int(answer['task'])

    def answered(self, head: Dict[str, Any]) -> None:
        """The worker's answer to `schedule`."""
        with self._numbering:
            if head['number'] in self._outstanding:
                self._outstanding[head['number']] = head

    def wait_for_answers(self) -> None:
        """A run does not end before they have come: threads may have asked. No more is asked then."""

        def closes() -> bool:
            with self._numbering:
                self._is_closed = all(answer is not None for answer in self._outstanding.values())
                return self._is_closed

        while not closes():
            self._listen(until=closes)

    def _wait(self, number: int) -> Dict[str, Any]:
        def came() -> bool:
            return self._outstanding[number] is not None

        while not came():
            self._listen(until=came)
        return self._outstanding[number] or {}


def now_us() -> int:
    """Microseconds of CLOCK_MONOTONIC."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
