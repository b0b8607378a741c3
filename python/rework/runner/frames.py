"""Frames, and the socket to the worker that carries them.

A frame is a message: two lengths, a head (a JSON object) and a body (bytes). docs/runner-protocol.md describes them.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from typing import Any, Callable, NamedTuple, NoReturn

#: The lengths of the head and the body in bytes.
_LENGTHS = struct.Struct('<II')

#: The largest head and the largest body in bytes. The protocol fixes them.
MAX_HEAD = 4 << 20
MAX_BODY = 256 << 20

#: The number of bytes that one call reads from the socket at most.
_READ_SIZE = 1 << 16

#: The exit code of a runner that does not understand its worker. The protocol fixes it.
PROTOCOL_ERROR_EXIT_CODE = 2

Head = dict[str, Any]


class Frame(NamedTuple):
    """A message to or from the worker."""

    head: Head
    body: bytes


def encode(head: Head, body: bytes = b'') -> bytes:
    """Return a frame as bytes. Raise ValueError if the head or the body is too large."""
    text = json.dumps(head, separators=(',', ':'), ensure_ascii=False).encode('utf-8', 'replace')
    if len(text) > MAX_HEAD or len(body) > MAX_BODY:
        raise ValueError(f'a frame with a head of {len(text)} and a body of {len(body)} bytes is too large')
    return _LENGTHS.pack(len(text), len(body)) + text + body


class Splitter:
    """Splits a stream of bytes, which arrives in pieces of any size, into frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def push(self, data: bytes) -> list[Frame]:
        """Add bytes, and return the frames that are complete now. Raise ValueError if the bytes are not frames."""
        self._bytes += data
        frames: list[Frame] = []
        start = 0
        while len(self._bytes) - start >= _LENGTHS.size:
            head_size, body_size = _LENGTHS.unpack_from(self._bytes, start)
            if head_size > MAX_HEAD or body_size > MAX_BODY:
                raise ValueError(f'a frame with a head of {head_size} and a body of {body_size} bytes')
            body_start = start + _LENGTHS.size + head_size
            if len(self._bytes) < body_start + body_size:
                break
            head = json.loads(self._bytes[start + _LENGTHS.size : body_start])
            if not isinstance(head, dict):
                raise ValueError('the head of a frame is not an object')
            frames.append(Frame(head, bytes(self._bytes[body_start : body_start + body_size])))
            start = body_start + body_size
        del self._bytes[:start]
        return frames


class Link:
    """The socket to the worker. Any thread may send and receive. In a forked child process, nothing is sent."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        # Reentrant: while a thread sends, the garbage collector may run a `__del__` that logs, and so sends too.
        self._sending = threading.RLock()
        self._receiving = threading.Lock()
        self._splitter = Splitter()
        #: Whether this process is a child that the runner forked, and not the runner itself.
        self.is_forked = False
        os.register_at_fork(after_in_child=self._close_in_child)

    def fileno(self) -> int:
        """Return the file descriptor of the socket, to wait until it can be read."""
        return self._socket.fileno()

    def _close_in_child(self) -> None:
        self.is_forked = True
        # Another thread of the parent may have owned the lock at the fork.
        self._sending = threading.RLock()
        self._socket.close()

    def send(self, *frames: bytes) -> None:
        """Send encoded frames together, which needs one system call unless the socket is full."""
        if self.is_forked:
            return
        try:
            with self._sending:
                self._socket.sendall(b''.join(frames))
        except OSError:
            exit_without_worker()

    def receive(self, handle: Callable[[Frame], None], until: Callable[[], Any] | None = None) -> bool:
        """Read from the socket once, and call `handle` for each complete frame in order. Return whether data was read.

        Without `until`, return False at once if there is no data, or if another thread reads. With `until`, wait for
        data, unless `until()` has become true before. Only one thread reads at a time.
        """
        # If another thread reads, it also handles what arrives. A caller that does not wait can leave it to that one.
        if not self._receiving.acquire(blocking=until is not None):
            return False
        try:
            # The thread that read before may have received what this one waits for.
            if until is not None and until():
                return True
            try:
                data = self._socket.recv(_READ_SIZE, socket.MSG_DONTWAIT if until is None else 0)
            except BlockingIOError:
                return False
            except OSError:
                exit_without_worker()
            if not data:
                exit_without_worker()
            try:
                for frame in self._splitter.push(data):
                    handle(frame)
            except (ValueError, KeyError, TypeError) as error:
                exit_on_protocol_error(repr(error))
            return True
        finally:
            self._receiving.release()


def exit_without_worker() -> NoReturn:
    """End the runner because the worker has ended, so that no result could be recorded any more."""
    os._exit(1)


def exit_on_protocol_error(why: str) -> NoReturn:
    """End the runner because the worker has sent a frame that it does not understand."""
    print(f'the worker broke the protocol: {why}', file=sys.stderr, flush=True)
    os._exit(PROTOCOL_ERROR_EXIT_CODE)
