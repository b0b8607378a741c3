"""Test operations: in the process of the test, or with workers and a database.

In the process of the test:

    from rework.testing import call

    def test_double():
        assert call(double, 21).output == 42

With workers and a database, by the fixture `rework`, which pytest finds without an import:

    def test_double(rework):
        rework.register('operations.py')
        with rework.workers():
            task = api.schedule(rework.dsn, 'double', 21)
            task.join()
        assert task.output == 42
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rework import io, values
from rework.context import TaskContext
from rework.operation import Function, Operation, registry
from rework.runner.frames import Frame, Link, Splitter
from rework.runner.run import Run

if TYPE_CHECKING:
    from rework.monitor import Workers

try:
    import pytest
except ImportError:
    # `call` and `FakeTask` work without pytest.
    pytest = None  # type: ignore[assignment]

__all__ = ['FakeTask', 'Installation', 'Scheduled', 'call']


class Scheduled(NamedTuple):
    """A task that an operation has scheduled."""

    operation: str
    input: Any
    domain: str | None
    #: The priority, or None if the operation's own is used.
    priority: int | None


class _RecordingLink:
    """Replaces the socket to a worker: records the frames that are sent, and answers `schedule` frames."""

    is_forked = False

    def __init__(self) -> None:
        self._splitter = Splitter()
        self.frames: list[Frame] = []
        #: Called with the answer to a `schedule` frame.
        self.on_answer: Any = None

    def send(self, *frames: bytes) -> None:
        for frame in self._splitter.push(b''.join(frames)):
            self.frames.append(frame)
            if frame.head['type'] == 'schedule':
                self.on_answer({'number': frame.head['number'], 'task': len(self.frames)})


class FakeTask(TaskContext):
    """A task that exists in the process of the test only. It records what the operation schedules and reports."""

    def __init__(
        self,
        operation: Operation,
        inputdata: Any = None,
        rawinputdata: bytes | None = None,
        metadata: dict[str, Any] | None = None,
        attempt: int = 1,
    ) -> None:
        is_raw = rawinputdata is not None
        body = rawinputdata
        if not is_raw and (operation.inputs is not None or inputdata is not None):
            body = io.encode(operation.inputs, inputdata, 'input').encode()
        head = {
            'task': 1,
            'run': 1,
            'attempt': attempt,
            'metadata': metadata,
            'raw': is_raw,
            'has_input': body is not None,
        }
        self._link = _RecordingLink()
        # Nothing has to be read: `_RecordingLink` has answered before `Run` waits.
        run = Run(Frame(head, body or b''), cast(Link, self._link), lambda until: None)
        self._link.on_answer = run.handle_scheduled
        run.note_started(None)
        super().__init__(run, operation)

    def abort(self, reason: str = 'aborted by the test') -> None:
        """Request the end of the task, as the operation can read from `aborted`."""
        self._run.abort(reason)

    @property
    def scheduled(self) -> list[Scheduled]:
        """Return the tasks that the operation has scheduled, in order."""
        return [
            Scheduled(
                frame.head['operation'],
                _input_of(frame),
                frame.head['domain'],
                frame.head['priority'],
            )
            for frame in self._link.frames
            if frame.head['type'] == 'schedule'
        ]

    @property
    def progressed(self) -> list[dict[str, Any]]:
        """Return all progress reports of the operation, each a dict with the keys `done`, `total` and `message`."""
        reports = [frame.head for frame in self._link.frames if frame.head['type'] == 'progress']
        return [{key: report[key] for key in ('done', 'total', 'message')} for report in reports]


def _input_of(frame: Frame) -> Any:
    if not frame.head['has_input']:
        return None
    return frame.body if frame.head['raw'] else values.loads(frame.body)


def call(function: Function, inputdata: Any = None, aborted: str | None = None, **options: Any) -> FakeTask:
    """Run an operation in this process, and return its task. No database is needed.

    With `aborted`, a reason, the task must end from its start on. `options` are those of `FakeTask`: `rawinputdata`,
    `metadata` and `attempt`.

    Raise whatever the operation raises. Raise TypeError if the function is not an operation. Raise TypeError or
    ValueError if the input does not satisfy its declaration.
    """
    task = FakeTask(_operation(function), inputdata, **options)
    if aborted is not None:
        task.abort(aborted)
    returned = function(task)
    if inspect.iscoroutine(returned):
        asyncio.run(returned)
    return task


def _operation(function: Function) -> Operation:
    for operation in registry.values():
        if operation.function is function:
            return operation
    raise TypeError(f'{function!r} is not an operation: declare it with `@api.task`')


class Installation:
    """A database with the rework schema, for one test. `dsn` is its DSN, which can be passed as an engine."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def register(self, *modules: str | Path, python: str | None = None) -> None:
        """Register modules, manifests or programs on this host. `python` runs the modules, by default this Python.

        Raise ReworkError if one of them cannot be registered.
        """
        from rework import binary

        paths = [str(module) for module in modules]
        binary.run(self.dsn, ['register-operations', '--python', python or sys.executable, *paths])

    @contextmanager
    def workers(self, **options: Any) -> Iterator[Workers]:
        """Run workers for the duration of the block. `options` are those of `api.workers`."""
        from rework import api

        with api.workers(self.dsn, **options) as workers:
            yield workers


if pytest is not None:
    # pytest looks for fixtures in this module, because pyproject.toml registers it as a plugin.
    from rework.fixtures import rework, rework_server  # noqa: F401
