"""Tests of operations: directly, in this process, or for real, with workers and a database.

Directly:

    from rework.testing import call

    def test_double():
        assert call(double, 21).output == 42

For real, with the fixture `rework` that pytest finds by itself:

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
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Union, cast

from rework import io, values
from rework.operation import Function, Operation, registry
from rework.runner.frames import Frame, Link, Splitter
from rework.runner.running import Running
from rework.running import RunningTask

if TYPE_CHECKING:
    from rework.monitor import Workers

try:
    import pytest
except ImportError:  # the in-process mode needs nothing
    pytest = None  # type: ignore[assignment]

__all__ = ['FakeTask', 'Installation', 'Scheduled', 'call']


class Scheduled(NamedTuple):
    """What an operation scheduled."""

    operation: str
    input: Any
    domain: Optional[str]
    #: None: as the operation says.
    priority: Optional[int]


class _Recorder:
    """Takes the place of the link to a worker."""

    is_forked = False

    def __init__(self) -> None:
        self._splitter = Splitter()
        self.frames: List[Frame] = []
        self.answer: Any = None

    def send(self, *frames: bytes) -> None:
        for frame in self._splitter.push(b''.join(frames)):
            self.frames.append(frame)
            if frame.head['type'] == 'schedule':
                self.answer({'number': frame.head['number'], 'task': len(self.frames)})


class FakeTask(RunningTask):
    """A task that no worker knows of. What its operation says is in `scheduled`, `progressed`, `output`."""

    def __init__(
        self,
        operation: Operation,
        inputdata: Any = None,
        rawinputdata: Optional[bytes] = None,
        metadata: Optional[Dict[str, Any]] = None,
        attempt: int = 1,
    ) -> None:
        raw = rawinputdata is not None
        body = rawinputdata
        if not raw and (operation.inputs is not None or inputdata is not None):
            body = io.encode(operation.inputs, inputdata, 'input').encode()
        head = {
            'task': 1,
            'run': 1,
            'attempt': attempt,
            'metadata': metadata,
            'raw': raw,
            'has_input': body is not None,
        }
        self._recorder = _Recorder()
        running = Running(Frame(head, body or b''), cast(Link, self._recorder), lambda until: None)
        self._recorder.answer = running.answered
        running.note_begun(None)
        super().__init__(running, operation)

    def abort(self, reason: str = 'aborted by the test') -> None:
        """From now on it is to end, as its operation can see."""
        self._running.abort(reason)

    @property
    def scheduled(self) -> List[Scheduled]:
        """What the operation has scheduled, in order."""
        return [
            Scheduled(
                frame.head['operation'],
                _input_of(frame),
                frame.head['domain'],
                frame.head['priority'],
            )
            for frame in self._recorder.frames
            if frame.head['type'] == 'schedule'
        ]

    @property
    def progressed(self) -> List[Dict[str, Any]]:
        """Every progress that was told: `done`, `total`, `message`."""
        told = [frame.head for frame in self._recorder.frames if frame.head['type'] == 'progress']
        return [{key: head[key] for key in ('done', 'total', 'message')} for head in told]


def _input_of(frame: Frame) -> Any:
    if not frame.head['has_input']:
        return None
    return frame.body if frame.head['raw'] else values.loads(frame.body)


def call(
    function: Function, inputdata: Any = None, aborted: Optional[str] = None, **options: Any
) -> FakeTask:
    """Runs an operation here and now, and gives its task. What it raises comes through.

    With `aborted`, a reason, it is to end from the beginning. `options` are those of `FakeTask`:
    `rawinputdata`, `metadata`, `attempt`.
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
    """A database with the schema, for one test."""

    def __init__(self, dsn: str) -> None:
        #: Where it is; to be passed as an engine.
        self.dsn = dsn

    def register(self, *modules: Union[str, Path], python: Optional[str] = None) -> None:
        """Registers modules, manifests or programs on this host. A module is run by this Python."""
        import sys

        from rework import binary

        paths = [str(module) for module in modules]
        binary.run(self.dsn, ['register-operations', '--python', python or sys.executable, *paths])

    @contextmanager
    def workers(self, **options: Any) -> Iterator[Workers]:
        """Workers, for as long as the block lasts: the options are those of `api.workers`."""
        from rework import api

        with api.workers(self.dsn, **options) as workers:
            yield workers


if pytest is not None:
    from rework.fixtures import rework, rework_server  # noqa: F401
