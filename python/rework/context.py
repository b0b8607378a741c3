"""The task that an operation is called with: its input, output, log and progress, and whether it must end.

`rework/task.py` has the task as the program sees it that scheduled it. `rework/runner/run.py` exchanges the frames
with the worker.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
from collections.abc import Iterator
from typing import Any, cast

from rework import io, values
from rework.compat import RunningTaskCompat, ignore_sync
from rework.operation import Operation
from rework.runner.run import Run, monotonic_us
from rework.stored import decode_value


class TaskContext(RunningTaskCompat):
    """The task within its operation. An operation is called with it as its only argument.

    Everything that the operation prints or logs is kept in the log of the task. None of the attributes queries the
    database.
    """

    def __init__(self, run: Run, operation: Operation) -> None:
        self._run = run
        self._operation = operation
        self._output: bytes | None = None
        self._output_is_raw = False

    def __repr__(self) -> str:
        return f'Task({self.tid}, operation={self._operation.name!r})'

    @property
    def tid(self) -> int:
        """Return the id of the task."""
        return self._run.key[0]

    id = tid

    @property
    def operation(self) -> str:
        """Return the name of the operation."""
        return self._operation.name

    @property
    def domain(self) -> str:
        """Return the domain of the operation."""
        return self._operation.domain

    @property
    def run(self) -> int:
        """Return the number of this run. Each claim of the task is a run; the first is 1."""
        return self._run.key[1]

    @property
    def attempt(self) -> int:
        """Return the number of this attempt, from 1. A run after a loss may be the same attempt again."""
        return int(self._run.head['attempt'])

    @property
    def state(self) -> str:
        """Return `running`, or `aborting` if the task must end."""
        return 'running' if self._run.abort_reason is None else 'aborting'

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the metadata that the task was scheduled with, or an empty dict.

        Raise ValueError if it has a number that is too large for a float.
        """
        metadata = self._run.head.get('metadata')
        if metadata is None:
            return {}
        # The frame was decoded as plain JSON. `values.loads` also decodes bytes and dates.
        return cast('dict[str, Any]', values.loads(json.dumps(metadata, allow_nan=False)))

    @property
    def raw_input(self) -> bytes | None:
        """Return the input as stored, or None if there is none: raw bytes, or the text of JSON."""
        return self._run.body

    @property
    def input(self) -> Any:
        """Return the input, or None if there is none. Moments are evaluated at each read.

        Raise TypeError if the task was scheduled with raw bytes. Raise ValueError if the input does not satisfy the
        declaration of the operation.
        """
        return decode_value(self._run.body, bool(self._run.head.get('raw')), self._operation.inputs, 'input')

    @property
    def raw_output(self) -> bytes | None:
        """Return the output that this run has saved, as stored, or None if it has saved none."""
        return self._output

    @property
    def output(self) -> Any:
        """Return the output that this run has saved, or None if it has saved none.

        Raise TypeError if it was saved as raw bytes.
        """
        return decode_value(self._output, self._output_is_raw, self._operation.outputs, 'output')

    def save_output(self, data: Any, raw: bool = False) -> None:
        """Save the output. It is sent at once, and replaces an earlier output. It is kept even if the run fails later.

        `data` is what the operation's `outputs` declare, or anything that JSON can carry if they declare nothing.
        With `raw` it is bytes, which are stored as they are.

        Raise TypeError or ValueError if `data` cannot be stored, or does not satisfy the declaration.
        """
        if raw:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f'with `raw=True` the output must be bytes, not {type(data).__name__}')
            body = bytes(data)
        else:
            body = io.encode(self._operation.outputs, data, 'output').encode()
        self._run.send('output', body, raw=raw)
        self._output, self._output_is_raw = body, raw

    @contextlib.contextmanager
    def capturelogs(self, sync: bool | None = None, level: int = logging.NOTSET, std: bool = False) -> Iterator[None]:
        """Set the level of the root logger to `level` within the block, so that records from this level on are kept.

        `sync` and `std` have no effect; they are arguments of rework 0.17. Output of `print` is always kept.
        """
        ignore_sync(sync)
        root = logging.getLogger()
        before = root.level
        root.setLevel(level)
        try:
            yield
        finally:
            root.setLevel(before)

    @property
    def aborted(self) -> bool:
        """Return whether the task must end: it was aborted, it timed out, or its worker is drained.

        To read this promises that the operation ends by itself, so it gets its grace period to do so. An operation that
        never reads it is killed at once. With `concurrency` above 1, its coroutine is cancelled instead.
        """
        self._run.handles_abort = True
        return self._run.abort_reason is not None

    @property
    def abort_reason(self) -> str | None:
        """Return why the task must end, such as `timed out after 5m`, or None if it need not.

        To read this promises the same as to read `aborted`.
        """
        self._run.handles_abort = True
        return self._run.abort_reason

    def wait_aborted(self, timeout: float | None = None) -> bool:
        """Sleep up to `timeout` seconds, but wake up if the task must end. Return whether it must.

        To call this promises the same as to read `aborted`.

        Without a timeout, sleep until the task must end. This blocks the thread: in an `async` operation, call it by
        `asyncio.to_thread`, or read `aborted` between two `await`s.
        """
        self._run.handles_abort = True
        return self._run.aborted.wait(timeout)

    @property
    def seconds_left(self) -> float | None:
        """Return the number of seconds until the run times out, at least 0, or None if it has no timeout."""
        limit_ms: int | None = self._run.head.get('deadline_ms')
        if limit_ms is None:
            return None
        return max(0.0, limit_ms / 1000 - (monotonic_us() - self._run.started_us) / 1e6)

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        """Report the progress: `done` of `total` steps, and what is being done. A report replaces the earlier one."""
        self._run.send('progress', done=done, total=total, message=message)

    def schedule(
        self,
        opname: str,
        inputdata: Any = None,
        rawinputdata: bytes | None = None,
        domain: str | None = None,
        priority: int | None = None,
        delay: None | float | datetime.timedelta = None,
    ) -> int:
        """Schedule another task through the worker, without a connection to the database. Return the id of the task.

        `delay` is a number of seconds or a timedelta, before which the task does not start. The task stays scheduled
        even if this run fails. A call creates exactly one task, even if the worker has to send its request again.

        Raise RuntimeError if the task cannot be scheduled. Raise TypeError if JSON cannot carry the input.
        """
        is_raw = rawinputdata is not None
        body = rawinputdata if rawinputdata is not None else b''
        has_input = is_raw or inputdata is not None
        if not is_raw and inputdata is not None:
            body = values.dumps(inputdata, 'input').encode()
        if isinstance(delay, datetime.timedelta):
            delay = delay.total_seconds()
        delay_ms = None if delay is None else round(delay * 1000)
        head = {'operation': opname, 'domain': domain, 'priority': priority}
        return self._run.schedule({**head, 'delay_ms': delay_ms, 'has_input': has_input, 'raw': is_raw}, body)
