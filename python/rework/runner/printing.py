"""While several runs are open in one process, send each line that Python code prints to the log of its own run.

The module replaces `sys.stdout` and `sys.stderr`. The run is found by a context variable: asyncio keeps one context for
each task, and `asyncio.to_thread` passes it to the thread. Output that bypasses these two objects cannot be assigned
to a run: that of C code, of child processes and of other threads. The worker stores it for all open runs.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, TextIO

from rework.runner.run import Run

#: The run whose code executes in this context.
RUN: ContextVar[Run | None] = ContextVar('rework_run', default=None)


def current_run() -> Run | None:
    """Return the run whose code calls this. Return None outside of a run, after its end, and in a forked child."""
    run = RUN.get()
    return None if run is None or run.has_ended or run.is_forked else run


class _TextStream(io.TextIOBase):
    """Replaces `sys.stdout` or `sys.stderr`. Without a current run it writes to the original stream."""

    def __init__(self, name: str, original: TextIO) -> None:
        self._name = name
        self._original = original
        self.buffer = _ByteStream(name, original)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return 'utf-8'

    def write(self, text: str) -> int:
        run = current_run()
        if run is None:
            return self._original.write(text)
        run.write_output(self._name, text.encode('utf-8', 'replace'))
        return len(text)

    def flush(self) -> None:
        # Lines of a run are sent when they are complete, and what is written of others a moment later.
        self._original.flush()

    def fileno(self) -> int:
        return self._original.fileno()

    def writable(self) -> bool:
        return True


class _ByteStream(io.BufferedIOBase):
    """Replaces the `buffer` of `sys.stdout` or `sys.stderr`."""

    def __init__(self, name: str, original: TextIO) -> None:
        self._name = name
        self._original = original

    def write(self, data: Any) -> int:
        run = current_run()
        if run is None:
            return self._original.buffer.write(data)
        body = bytes(data)
        run.write_output(self._name, body)
        return len(body)

    def flush(self) -> None:
        self._original.flush()

    def fileno(self) -> int:
        return self._original.fileno()

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def separate_output() -> Iterator[None]:
    """Within the block, send what is printed to the log of the run that prints it."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _TextStream('stdout', before[0]), _TextStream('stderr', before[1])
    try:
        yield
    finally:
        # This also removes a stream by which an operation has replaced one of ours.
        sys.stdout, sys.stderr = before
