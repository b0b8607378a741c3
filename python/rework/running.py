"""The task as its operation sees it: input, output, log, progress, and whether it is to end."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import warnings
from typing import Any, Dict, Iterator, Optional, Union, cast

from rework import io, values
from rework.operation import Operation
from rework.runner.running import Running, now_us


class RunningTask:
    """What an operation is called with.

    Everything that the operation prints or logs is kept, whatever it does here.
    """

    def __init__(self, running: Running, operation: Operation) -> None:
        self._running = running
        self._operation = operation
        self._output: Optional[bytes] = None
        self._output_is_raw = False

    def __repr__(self) -> str:
        return f'Task({self._operation.name}, {self.state})'

    @property
    def tid(self) -> int:
        """The task's id."""
        return self._running.key[0]

    id = tid

    @property
    def operation(self) -> str:
        """The operation's name."""
        return self._operation.name

    @property
    def domain(self) -> str:
        """The operation's domain."""
        return self._operation.domain

    @property
    def run(self) -> int:
        """Counts the claims of the task, from 1."""
        return self._running.key[1]

    @property
    def attempt(self) -> int:
        """Counts those that use up one of the operation's attempts, from 1."""
        return int(self._running.head['attempt'])

    @property
    def state(self) -> str:
        """`running`, or `aborting` when it is to end."""
        return 'running' if self._running.abort_reason is None else 'aborting'

    status = 'running'

    @property
    def metadata(self) -> Dict[str, Any]:
        """What was noted by whoever scheduled it; `{}` where nothing was."""
        found = self._running.head.get('metadata')
        return {} if found is None else cast(Dict[str, Any], values.loads(json.dumps(found)))

    @property
    def raw_input(self) -> Optional[bytes]:
        """The input as it is kept: bytes, or the text of JSON."""
        return self._running.body

    @property
    def input(self) -> Any:
        """The input, by the declared types where there are any; None where there is none.

        Moments are evaluated anew at each read. Raises TypeError for bytes of no known form.
        """
        body = self._running.body
        return _read(body, bool(self._running.head.get('raw')), self._operation.inputs, 'input')

    @property
    def raw_output(self) -> Optional[bytes]:
        """What was saved so far, as it is kept."""
        return self._output

    @property
    def output(self) -> Any:
        """What was saved so far."""
        return _read(self._output, self._output_is_raw, self._operation.outputs, 'output')

    def save_output(self, data: Any, raw: bool = False) -> None:
        """Keeps the output, at once; the last one counts, also if the run fails later.

        It is anything that JSON can carry, bytes and dates, held against the declared outputs where
        there are any; with `raw` it is bytes, kept as they are. Raises TypeError or ValueError.
        """
        if raw:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(
                    f'with `raw=True` the output must be bytes, not {type(data).__name__}'
                )
            body = bytes(data)
        else:
            body = io.encode(self._operation.outputs, data, 'output').encode()
        self._running.say('output', body, raw=raw)
        self._output, self._output_is_raw = body, raw

    @contextlib.contextmanager
    def capturelogs(
        self, sync: Optional[bool] = None, level: int = logging.NOTSET, std: bool = False
    ) -> Iterator[None]:
        """Within it the loggers let through everything from `level` on.

        Whatever is printed is kept with and without `std`. `sync` is taken and means nothing.
        """
        if sync is not None:
            warnings.warn('`sync` means nothing any more', DeprecationWarning, stacklevel=3)
        root = logging.getLogger()
        before = root.level
        root.setLevel(level)
        try:
            yield
        finally:
            root.setLevel(before)

    @property
    def aborted(self) -> bool:
        """Whether it is to end. Who asks has the operation's grace for it; who never asks is ended at once,
        or, where several are open in the process, cancelled."""
        self._running.asks = True
        return self._running.abort_reason is not None

    @property
    def abort_reason(self) -> Optional[str]:
        """Why it is to end, in words: `timed out after 5m`."""
        self._running.asks = True
        return self._running.abort_reason

    def wait_aborted(self, timeout: Optional[float] = None) -> bool:
        """Waits until it is to end, for `timeout` seconds at most: a sleep that an abort cuts short.

        In an `async` operation it holds up the loop: look at `aborted` between two `await`s."""
        self._running.asks = True
        return self._running.aborted.wait(timeout)

    @property
    def seconds_left(self) -> Optional[float]:
        """Until it is timed out; None where it has all the time there is."""
        limit: Optional[int] = self._running.head.get('deadline_ms')
        if limit is None:
            return None
        return max(0.0, limit / 1000 - (now_us() - self._running.began_us) / 1e6)

    def progress(
        self, done: int, total: Optional[int] = None, message: Optional[str] = None
    ) -> None:
        """How far it is. The last one counts."""
        self._running.say('progress', done=done, total=total, message=message)

    def schedule(
        self,
        opname: str,
        inputdata: Any = None,
        rawinputdata: Optional[bytes] = None,
        domain: Optional[str] = None,
        priority: Optional[int] = None,
        delay: Union[None, float, datetime.timedelta] = None,
    ) -> int:
        """Schedules another task, through the worker: once for this call, however often it is asked.

        Gives its id. `delay` is in seconds. It stays scheduled, whatever becomes of this run.
        Raises RuntimeError where it cannot be scheduled.
        """
        raw = rawinputdata is not None
        body = rawinputdata if rawinputdata is not None else b''
        has_input = raw or inputdata is not None
        if not raw and inputdata is not None:
            body = values.dumps(inputdata, 'input').encode()
        if isinstance(delay, datetime.timedelta):
            delay = delay.total_seconds()
        delay_ms = None if delay is None else round(delay * 1000)
        head = {'operation': opname, 'domain': domain, 'priority': priority}
        return self._running.schedule(
            {**head, 'delay_ms': delay_ms, 'has_input': has_input, 'raw': raw}, body
        )


def _read(body: Optional[bytes], raw: bool, specs: Optional[io.Specs], what: str) -> Any:
    if body is None:
        return None
    if raw:
        raise TypeError(f'cannot decipher the raw bytes: read `.raw_{what}`')
    return io.decode(specs, body)
