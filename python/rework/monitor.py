"""Run a monitor with its workers for the duration of a `with` block, for tests and small programs.

The monitor ends with the block. It also ends when this process ends, even by SIGKILL: the kernel signals it then.
`api.workers` is the function of this module.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from rework import binary
from rework.database import require_dsn, session
from rework.errors import ReworkError, Unreachable

#: The shortest time in seconds that a monitor is given to start. On a busy machine a start can take many seconds.
_MIN_START_TIMEOUT = 30.0

#: Seconds to wait after the first and after the second SIGTERM. Then the monitor is killed.
_TERMINATION_TIMEOUTS = (15.0, 5.0)

#: Seconds between two checks whether the monitor has started.
_POLL_INTERVAL = 0.02

# This program replaces itself by the monitor. Before, it requests a SIGTERM for the end of its parent: 1 is
# PR_SET_PDEATHSIG. If the parent ended before the request, nothing is started. A function that subprocess calls between
# fork and exec could do the same, but could deadlock in a process with several threads.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class Workers:
    """A running monitor and its workers. `mid` is the id of the monitor, or None until it has registered."""

    def __init__(self, dsn: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._dsn = dsn
        self._process = process
        self._log_file = log
        self._log = b''
        self.mid: int | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the monitor."""
        return self._process.pid

    @property
    def wids(self) -> list[int]:
        """Return the ids of the workers that have started and not ended. Each read queries the database."""
        if self.mid is None:
            return []
        with session(self._dsn) as db:
            return [row[0] for row in db.rows('monitor_workers', monitor=self.mid)]

    @property
    def log(self) -> str:
        """Return what the monitor has written to stdout and stderr. It can still be read after the block."""
        if not self._log_file.closed:
            size = os.fstat(self._log_file.fileno()).st_size
            self._log = os.pread(self._log_file.fileno(), size, 0)
        return self._log.decode('utf-8', 'replace')

    def _wait_until_started(self, workers: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            if self._process.poll() is not None:
                raise binary.error_from_stderr(self.log, 'the monitor ended at once, without a message')
            # If the database cannot be reached, the monitor ends and its log says so.
            with contextlib.suppress(Unreachable):
                if self._has_started(workers):
                    return
            if time.monotonic() > deadline:
                raise ReworkError(f'the monitor did not start within {timeout:g} s\n{self.log}'.rstrip())
            time.sleep(_POLL_INTERVAL)

    def _has_started(self, workers: int) -> bool:
        """Return whether the monitor has registered and this number of workers has started."""
        if self.mid is None:
            start, boot = _start_time(self.pid), _boot_id()
            with session(self._dsn) as db:
                row = db.row('monitor_of_process', pid=self.pid, start=start, boot=boot)
            self.mid = None if row is None else row[0]
        return self.mid is not None and len(self.wids) >= workers

    def _terminate(self) -> None:
        for timeout in _TERMINATION_TIMEOUTS:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
                return
        # The workers notice that their monitor has ended, and end too.
        self._process.kill()
        self._process.wait()

    def _close(self) -> None:
        self._terminate()
        # This reads the log file for the last time, before it is closed.
        _ = self.log


@contextlib.contextmanager
def workers(
    engine: object,
    domain: str = 'default',
    minworkers: int = 0,
    maxworkers: int = 1,
    maxruns: int = 0,
    maxmem: int | str = 0,
    debug: bool = False,
    start_timeout: float = 30,
) -> Iterator[Workers]:
    """Run workers of a domain on this host for the duration of the block. Running tasks are aborted at its end.

    * `minworkers`, `maxworkers`: the smallest and the largest number of workers
    * `maxruns`: the number of runs after which the process that runs operations is replaced; 0 for no limit
    * `maxmem`: the memory above which that process is replaced, a number of MiB or `'2GiB'`; 0 for no limit
    * `debug`: write more to the log of the monitor, which is the attribute `log`
    * `start_timeout`: the seconds that a worker, or the process that runs operations, may take to start

    The block must be entered by a thread that lives until its end, because the monitor ends with that thread.

    Raise ReworkError, with the message of the monitor, if it does not start.
    """
    options = {
        'domain': domain,
        'minworkers': minworkers,
        'maxworkers': maxworkers,
        'maxruns': maxruns,
        'maxmem': maxmem,
        'start-timeout': f'{round(start_timeout * 1000)}ms',
        'shutdown-grace': '0s',
        # A test or a small program must not delete old tasks.
        'vacuum': 'never',
    }
    args = [f'--{name}={value}' for name, value in options.items()]
    with _running_monitor(require_dsn(engine), ['monitor', *args], debug) as running:
        running._wait_until_started(minworkers, max(start_timeout, _MIN_START_TIMEOUT))
        yield running


@contextlib.contextmanager
def _running_monitor(dsn: str, args: Sequence[str], debug: bool) -> Iterator[Workers]:
    # Imported late, because every runner imports this module, and `tempfile` imports many others.
    from tempfile import TemporaryFile

    environment = binary.environment(dsn)
    if debug:
        environment.setdefault('REWORK_LOG', 'debug')
    # -I and -S make this Python start fast, and independent of the environment.
    command = [sys.executable, '-I', '-S', '-c', _DIE_WITH_PARENT, str(os.getpid())]
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, binary.path(), *args],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal signals this process only, which then ends the monitor in order.
            start_new_session=True,
        )
        running = Workers(dsn, process, log)
        try:
            yield running
        finally:
            running._close()


def _start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot, or 0 if there is no such process.

    Pids are reused. A pid, a start time and the id of the boot together identify a process.
    """
    try:
        # The second field, the name, is in parentheses and may contain blanks. Field 22 is the start time.
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return 0
    return int(fields[19])


def _boot_id() -> str:
    return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
