"""What is printed where several runs are open at once: each line under the run whose code printed it.

Python's own `print` and whatever else writes to `sys.stdout` and `sys.stderr` is told apart by the context in
which it runs, which asyncio keeps for each task, and `asyncio.to_thread` for a thread. What goes to the
descriptors past them is everybody's: C code, children, other threads.
"""

from __future__ import annotations

import contextlib
import io
import sys
from contextvars import ContextVar
from typing import Any, Iterator, Optional, TextIO

from rework.runner.running import Running

#: The run whose code this is.
OWN: ContextVar[Optional[Running]] = ContextVar('rework_run', default=None)

#: By the stream's name: the level of its lines.
LEVELS = {'stdout': 'INFO', 'stderr': 'WARNING'}


def own() -> Optional[Running]:
    """The open run whose code this is; None: nobody's, one that is over, or a forked process."""
    running = OWN.get()
    return None if running is None or running.is_over or running.is_forked else running


class _Text(io.TextIOBase):
    """Takes the place of `sys.stdout` or `sys.stderr`."""

    def __init__(self, name: str, original: TextIO) -> None:
        self._name = name
        self._original = original
        self.buffer = _Bytes(name, original)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of what is written."""
        return 'utf-8'

    def write(self, text: str) -> int:
        """Lines of the run at work, or of the process."""
        running = own()
        if running is None:
            return self._original.write(text)
        running.printed(self._name, LEVELS[self._name], text.encode('utf-8', 'replace'))
        return len(text)

    def flush(self) -> None:
        """Lines are on their way when they are whole."""
        self._original.flush()

    def fileno(self) -> int:
        """The descriptor of the process."""
        return self._original.fileno()

    def writable(self) -> bool:
        """It is."""
        return True


class _Bytes(io.BufferedIOBase):
    """Its `buffer`."""

    def __init__(self, name: str, original: TextIO) -> None:
        self._name = name
        self._original = original

    def write(self, data: Any) -> int:
        """As text is written."""
        running = own()
        if running is None:
            return self._original.buffer.write(data)
        body = bytes(data)
        running.printed(self._name, LEVELS[self._name], body)
        return len(body)

    def flush(self) -> None:
        """See above."""
        self._original.flush()

    def fileno(self) -> int:
        """The descriptor of the process."""
        return self._original.fileno()

    def writable(self) -> bool:
        """It is."""
        return True


@contextlib.contextmanager
def parted() -> Iterator[None]:
    """Within it each run has what its code prints."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Text('stdout', before[0]), _Text('stderr', before[1])
    try:
        yield
    finally:
        # What an operation has put in their place goes too.
        sys.stdout, sys.stderr = before
