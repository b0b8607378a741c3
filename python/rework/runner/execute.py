"""Execute runs one after the other, in the order in which they arrive.

docs/runner-protocol.md describes the steps under `The order of a run`. Runs of an operation with `concurrency` above 1
are executed by `concurrent_runs.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

from rework.context import TaskContext
from rework.operation import Operation, registry
from rework.runner import streams
from rework.runner.availability import run_check, send_answer
from rework.runner.children import end_child, has_children
from rework.runner.concurrent_runs import ConcurrentRuns
from rework.runner.failure import failed_head
from rework.runner.frames import Frame, Link
from rework.runner.inbox import Inbox
from rework.runner.reader_thread import ReaderThread
from rework.runner.run import Run


class Executor:
    """Executes runs, and reports how they ended.

    `started_runs` is the descriptor of the memory in which starts are noted, or None if there is none.
    """

    def __init__(self, link: Link, inbox: Inbox, reader: ReaderThread, started_runs: int | None) -> None:
        self._link = link
        self._inbox = inbox
        self._reader = reader
        self._started_runs = started_runs
        self._loop: asyncio.AbstractEventLoop | None = None

    def execute(self, run: Run) -> None:
        """Execute one run and send its last frame. With `concurrency`, also execute all runs that arrive meanwhile."""
        operation = registry.get((run.head['domain'], run.head['operation']))
        if operation is not None and operation.concurrency > 1:
            loop = self._event_loop()
            ConcurrentRuns(loop, self._link, self._inbox, operation, self._started_runs).execute(run)
            return
        self._reader.run_starts()
        run.note_started(self._started_runs)
        stdout, stderr = sys.stdout, sys.stderr
        failure = self._call(run, operation)
        # The operation may have replaced them. The next run gets the original ones.
        sys.stdout, sys.stderr = stdout, stderr
        run.wait_for_answers()
        streams.flush()
        boundary = run.head.get('boundary')
        # The worker sends a boundary if it may have sent further runs ahead.
        if boundary:
            streams.write_boundary(boundary)
            # Between two runs the worker kills leftover children. So no queued run may start before it has done that.
            if has_children():
                self._inbox.give_back()
        self._inbox.close(run)
        if failure is None:
            self._link.send(run.last_frame('done'))
        else:
            self._link.send(run.last_frame('failed', **failure))

    def check(self, request: Frame) -> None:
        """Run the check of an operation while no run is open, and send the answer."""
        operation = registry.get((request.head['domain'], request.head['operation']))
        stdout, stderr = sys.stdout, sys.stderr
        reason = run_check(self._link, operation, self._await)
        sys.stdout, sys.stderr = stdout, stderr
        # The output of the check must not appear in the log of the next run.
        streams.flush()
        send_answer(self._link, request, reason)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of this process, which all `async` operations share."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def _call(self, run: Run, operation: Operation | None) -> dict[str, Any] | None:
        """Call the operation. Return None if it returned, or the head of the `failed` frame."""
        if operation is None:
            head = run.head
            message = f'operation `{head["operation"]}` of domain `{head["domain"]}` is not in this module'
            return {'kind': 'load', 'message': message}
        try:
            returned = operation.function(TaskContext(run, operation))
            if inspect.iscoroutine(returned):
                self._await(returned)
        except BaseException as error:
            if self._link.is_forked:
                end_child(error)
            return failed_head(error)
        if self._link.is_forked:
            end_child(None)
        return None

    def _await(self, coroutine: Any) -> Any:
        loop = self._event_loop()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            _cancel_leftovers(loop)


def _cancel_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel coroutines that the operation started and did not await, so that they do not disturb the next run."""
    leftovers = asyncio.all_tasks(loop)
    for task in leftovers:
        task.cancel()
    if leftovers:
        loop.run_until_complete(asyncio.gather(*leftovers, return_exceptions=True))
