"""Frames: two lengths, a JSON object, bytes. As docs/runner-protocol.md says."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional

_SIZES = struct.Struct('<II')

#: Most bytes of a head and of a body.
MAX_HEAD = 4 << 20
MAX_BODY = 256 << 20

#: Bytes that are read at once.
_CHUNK = 1 << 16

#: The exit code of a runner that does not understand its worker.
BROKEN = 2

Head = Dict[str, Any]


class Frame(NamedTuple):
    """A head and a body."""

    head: Head
    body: bytes


def encode(head: Head, body: bytes = b'') -> bytes:
    """A frame as it is sent."""
    text = json.dumps(head, separators=(',', ':'), ensure_ascii=False).encode('utf-8', 'replace')
    if len(text) > MAX_HEAD or len(body) > MAX_BODY:
        raise ValueError(f'a frame of {len(text)} and {len(body)} bytes is too large')
    return _SIZES.pack(len(text), len(body)) + text + body


class Splitter:
    """Frames out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def push(self, data: bytes) -> List[Frame]:
        """The frames that are whole now. Raises ValueError where they cannot be frames."""
        self._bytes += data
        frames: List[Frame] = []
        start = 0
        while len(self._bytes) - start >= _SIZES.size:
            head_size, body_size = _SIZES.unpack_from(self._bytes, start)
            if head_size > MAX_HEAD or body_size > MAX_BODY:
                raise ValueError(f'a frame of {head_size} and {body_size} bytes')
            body_at = start + _SIZES.size + head_size
            if len(self._bytes) < body_at + body_size:
                break
            head = json.loads(self._bytes[start + _SIZES.size : body_at])
            if not isinstance(head, dict):
                raise ValueError('the head of a frame is no object')
            frames.append(Frame(head, bytes(self._bytes[body_at : body_at + body_size])))
            start = body_at + body_size
        del self._bytes[:start]
        return frames


class Link:
    """The socket to the worker. Any thread may send and receive."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        # Taken again by the same thread, where garbage is collected meanwhile and an object's end says something.
        self._sending = threading.RLock()
        self._receiving = threading.Lock()
        self._splitter = Splitter()
        #: This process was forked off from the runner: it is not for it to speak.
        self.is_forked = False
        os.register_at_fork(after_in_child=self._forget)

    def fileno(self) -> int:
        """For whoever waits until something comes."""
        return self._socket.fileno()

    def _forget(self) -> None:
        self.is_forked = True
        self._sending = threading.RLock()
        self._socket.close()

    def send(self, *frames: bytes) -> None:
        """Sends frames that are whole, in one call where the socket has room for them."""
        if self.is_forked:
            return
        try:
            with self._sending:
                self._socket.sendall(b''.join(frames))
        except OSError:
            leave_with_worker()

    def receive(
        self, take: Callable[[Frame], None], until: Optional[Callable[[], Any]] = None
    ) -> bool:
        """Hands over what has come, in order, one thread at a time; with `until` it waits for something,
        unless that is true by then. False: nothing had come.
        """
        # Another thread that reads hands over what comes: who does not want to wait need not.
        if not self._receiving.acquire(blocking=until is not None):
            return False
        try:
            if until is not None and until():
                return True
            try:
                data = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT if until is None else 0)
            except BlockingIOError:
                return False
            except OSError:
                leave_with_worker()
            if not data:
                leave_with_worker()
            try:
                for frame in self._splitter.push(data):
                    take(frame)
            except (ValueError, KeyError, TypeError) as error:
                break_off(repr(error))
            return True
        finally:
            self._receiving.release()


def leave_with_worker() -> NoReturn:
    """The worker is gone: nobody will record anything."""
    os._exit(1)


def break_off(why: str) -> NoReturn:
    """The worker says what cannot be understood."""
    print(f'the worker broke the protocol: {why}', file=sys.stderr, flush=True)
    os._exit(BROKEN)
