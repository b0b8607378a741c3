"""Workers for as long as a block lasts: a monitor of one's own, for tests and small programs.

It ends with the block, with all that it started. It also ends when this process does, however that
comes about: the kernel sees to it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Iterator, List, Optional, Sequence, Union

from rework import binary
from rework.database import session
from rework.errors import ReworkError, Unreachable
from rework.schedules import place

#: Seconds that a monitor may take at least to come up, on a machine that has much to do.
_START_MIN = 30.0

#: Seconds until it is asked again to end, and until it is killed.
_PATIENCE = (15.0, 5.0)

#: Between two looks whether it is up.
_PAUSE = 0.02

# Becomes the monitor, which gets SIGTERM when the thread that started it is no more. Not done
# between fork and exec, where a process of several threads may hang.
_DIES_WITH_US = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class Workers:
    """A monitor and its workers."""

    def __init__(self, dsn: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._dsn = dsn
        self._process = process
        self._log = log
        self._said = b''
        #: The monitor's id, once it is up.
        self.mid: Optional[int] = None

    @property
    def pid(self) -> int:
        """The monitor's process."""
        return self._process.pid

    @property
    def wids(self) -> List[int]:
        """The ids of the workers that are up."""
        if self.mid is None:
            return []
        with session(self._dsn) as db:
            return [row[0] for row in db.rows('monitor_workers', monitor=self.mid)]

    @property
    def log(self) -> str:
        """What the monitor has said, also when it is gone."""
        if not self._log.closed:
            size = os.fstat(self._log.fileno()).st_size
            self._said = os.pread(self._log.fileno(), size, 0)
        return self._said.decode('utf-8', 'replace')

    def _wait_until_up(self, workers: int, timeout: float) -> None:
        end = time.monotonic() + timeout
        while True:
            if self._process.poll() is not None:
                raise binary.refusal(self.log, 'the monitor ended at once, and did not say why')
            # That the database is away is said by the monitor, which ends.
            with contextlib.suppress(Unreachable):
                if self._is_up(workers):
                    return
            if time.monotonic() > end:
                raise ReworkError(
                    f'the monitor was not up after {timeout:g} s\n{self.log}'.rstrip()
                )
            time.sleep(_PAUSE)

    def _is_up(self, workers: int) -> bool:
        if self.mid is None:
            start, boot = _born(self.pid), _boot()
            with session(self._dsn) as db:
                row = db.row('monitor_up', pid=self.pid, start=start, boot=boot)
            self.mid = None if row is None else row[0]
        return self.mid is not None and len(self.wids) >= workers

    def _end(self) -> None:
        for patience in _PATIENCE:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                return
        # Its workers see that it is gone, and leave.
        self._process.kill()
        self._process.wait()

    def _close(self) -> None:
        self._end()
        _ = self.log


@contextlib.contextmanager
def workers(
    engine: object,
    domain: str = 'default',
    minworkers: int = 0,
    maxworkers: int = 1,
    maxruns: int = 0,
    maxmem: Union[int, str] = 0,
    debug: bool = False,
    start_timeout: float = 30,
) -> Iterator[Workers]:
    """Workers of a domain on this host, for as long as the block lasts.

    At its end running tasks are aborted. `maxruns` and `maxmem` (MiB, or `'2GiB'`) bound the
    process that runs operations, `start_timeout` (seconds) how long that may take to come up. With
    `debug` the monitor says more, in `.log`. The block is to be entered by a thread that lasts as
    long.

    Raises ReworkError, with what the monitor says, where none comes up.
    """
    options = {
        'domain': domain,
        'minworkers': minworkers,
        'maxworkers': maxworkers,
        'maxruns': maxruns,
        'maxmem': maxmem,
        'start-timeout': f'{round(start_timeout * 1000)}ms',
        'shutdown-grace': '0s',
        # Nothing is deleted by the way.
        'vacuum': 'never',
    }
    words = [f'--{name}={value}' for name, value in options.items()]
    with _running(place(engine), ['monitor', *words], debug) as found:
        found._wait_until_up(minworkers, max(start_timeout, _START_MIN))
        yield found


@contextlib.contextmanager
def _running(dsn: str, args: Sequence[str], debug: bool) -> Iterator[Workers]:
    from tempfile import TemporaryFile

    environment = binary.environment(dsn)
    if debug:
        environment.setdefault('REWORK_LOG', 'debug')
    command = [sys.executable, '-I', '-S', '-c', _DIES_WITH_US, str(os.getpid())]
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, binary.path(), *args],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal reaches us, and it through us.
            start_new_session=True,
        )
        found = Workers(dsn, process, log)
        try:
            yield found
        finally:
            found._close()


def _born(pid: int) -> int:
    """When a process started, in clock ticks since boot: with its pid, who it is; 0: it is gone."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return 0
    return int(fields[19])


def _boot() -> str:
    return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
