"""The stdout and stderr of the runner process: flush them, and write the boundary between the output of two runs."""

from __future__ import annotations

import ctypes
import os
import sys

#: The byte before and after the boundary: the ASCII record separator.
_RECORD_SEPARATOR = b'\x1e'

_libc: ctypes.CDLL | None = None


def flush() -> None:
    """Write everything that Python or the C library has buffered for stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            # The operation may have replaced the stream by None or another object, or closed it.
            continue
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None)
    _libc.fflush(None)


def write_boundary(boundary: str) -> None:
    """Write the boundary that ends the output of a run. Output after it belongs to the next run."""
    data = _RECORD_SEPARATOR + boundary.encode() + _RECORD_SEPARATOR
    for fd in (1, 2):
        try:
            # One call for the whole boundary, so that the output of other processes cannot divide it.
            os.write(fd, data)
        except OSError:
            continue
