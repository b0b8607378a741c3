"""Execute several runs of one `async` operation at the same time, in one event loop.

docs/runner-protocol.md describes it under `Several open runs`. `execute.py` executes runs one after the other.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from typing import Any

from rework.context import TaskContext
from rework.operation import Operation
from rework.runner import printing, streams
from rework.runner.availability import run_check_in_loop, send_answer
from rework.runner.children import end_child, end_process
from rework.runner.failure import failed_head
from rework.runner.frames import Frame, Link
from rework.runner.inbox import Inbox
from rework.runner.run import PARTIAL_LINE_DELAY, Run

#: Seconds that coroutines which an operation started and did not await may take to end after they were cancelled.
_CANCEL_TIMEOUT = 1.0


class ConcurrentRuns:
    """The runs of one operation that are open at the same time.

    `started_runs` is the descriptor of the memory in which starts are noted, or None if there is none.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: Link,
        inbox: Inbox,
        operation: Operation,
        started_runs: int | None,
    ) -> None:
        self._loop = loop
        self._link = link
        self._inbox = inbox
        self._operation = operation
        self._started_runs = started_runs
        self._open: set[asyncio.Task[None]] = set()
        #: The checks that are executed. The event loop itself keeps only weak references to them.
        self._checks: set[asyncio.Task[None]] = set()

    def execute(self, first: Run) -> None:
        """Execute a run, and all runs that arrive while one is open. Return when none is open any more."""
        try:
            self._loop.run_until_complete(self._execute_all(first))
            self._loop.run_until_complete(self._cancel_leftovers())
        except BaseException as error:
            # A task that the operation created itself raised SystemExit or KeyboardInterrupt. That stops the loop, in
            # which all open runs live.
            end_process(error)

    async def _execute_all(self, first: Run) -> None:
        self._none_is_open = asyncio.Event()
        context = contextvars.copy_context()
        # Another thread may read the frame of a new run, while it waits for the answer to `schedule`. Without the
        # explicit context, the new run would start in the context of the run that this thread belongs to.
        self._inbox.on_run = lambda: self._loop.call_soon_threadsafe(self._start_queued, context=context)
        self._inbox.on_check = lambda: self._loop.call_soon_threadsafe(self._start_checks, context=context)
        self._loop.add_reader(self._link.fileno(), self._inbox.listen)
        try:
            with printing.separate_output():
                self._start(first)
                self._start_queued()
                while self._open:
                    self._none_is_open.clear()
                    await self._none_is_open.wait()
        finally:
            self._loop.remove_reader(self._link.fileno())
            self._inbox.on_run = None
            self._inbox.on_check = None

    def _start_queued(self) -> None:
        """Start all queued runs of this operation. If no run is open any more, leave them to the next `execute`."""
        operation = self._operation.domain, self._operation.name
        while True:
            run = self._inbox.next_of(operation) if self._open else None
            if run is None:
                return
            self._start(run)

    def _start_checks(self) -> None:
        """Start the checks that the worker requests. If no run is open any more, leave them to `Executor.check`."""
        while self._open:
            request = self._inbox.next_check()
            if request is None:
                return
            # The worker checks only the operation whose runs are open.
            check = self._loop.create_task(self._check(request))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def _check(self, request: Frame) -> None:
        reason = await run_check_in_loop(self._link, self._operation)
        streams.flush()
        send_answer(self._link, request, reason)

    def _start(self, run: Run) -> None:
        run.note_started(self._started_runs)
        task = self._loop.create_task(self._execute_one(run))
        run.cancel = lambda: self._loop.call_soon_threadsafe(task.cancel)
        # Any thread may print.
        run.send_partial_lines_later = lambda: self._loop.call_soon_threadsafe(self._send_partial_lines_later, run)
        if run.abort_reason is not None:
            # Another thread read the abort before `cancel` was set.
            run.cancel()
        self._open.add(task)
        task.add_done_callback(self._remove)

    def _send_partial_lines_later(self, run: Run) -> None:
        self._loop.call_later(PARTIAL_LINE_DELAY, run.send_partial_lines)

    def _remove(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not self._open:
            self._none_is_open.set()

    async def _execute_one(self, run: Run) -> None:
        try:
            await self._call_and_report(run)
        except BaseException as error:
            # The end of the run could not be sent. The end of the process reports it.
            end_process(error)

    async def _call_and_report(self, run: Run) -> None:
        printing.RUN.set(run)
        failure = await self._call(run)
        run.wait_for_answers()
        run.send_partial_lines()
        streams.flush()
        self._inbox.close(run)
        if failure is None:
            self._link.send(run.last_frame('done'))
        else:
            self._link.send(run.last_frame('failed', **failure))

    async def _call(self, run: Run) -> dict[str, Any] | None:
        """Call the operation. Return None if it returned, or the head of the `failed` frame."""
        try:
            await self._operation.function(TaskContext(run, self._operation))
        except BaseException as error:
            if self._link.is_forked:
                end_child(error)
            # SystemExit and KeyboardInterrupt are caught too: they would stop the loop, and so all other runs.
            return failed_head(error)
        if self._link.is_forked:
            end_child(None)
        return None

    async def _cancel_leftovers(self) -> None:
        """Cancel coroutines that the operation started and did not await, so that they do not disturb the next run."""
        leftovers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in leftovers:
            task.cancel()
        if leftovers and (await asyncio.wait(leftovers, timeout=_CANCEL_TIMEOUT))[1]:
            sys.stderr.write(
                f'a coroutine that `{self._operation.name}` started and did not await does not end: '
                'its process is replaced\n'
            )
            sys.stderr.flush()
            os._exit(1)
