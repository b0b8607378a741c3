"""Runs of one `async` operation that are open at once, in one loop: docs/runner-protocol.md, `Several open runs`."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from typing import Any, Dict, Optional, Set

from rework.operation import Operation
from rework.runner import printing, streams
from rework.runner.children import end_child, end_process
from rework.runner.failure import failed
from rework.runner.frames import Link
from rework.runner.inbox import Inbox
from rework.runner.running import Running
from rework.running import RunningTask


#: Seconds that what is left behind has for its end.
_PATIENCE = 1.0


class Crowd:
    """From the first run to the last that came while others were open."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: Link,
        inbox: Inbox,
        operation: Operation,
        page: Optional[int],
    ) -> None:
        self._loop = loop
        self._link = link
        self._inbox = inbox
        self._operation = operation
        self._page = page
        self._open: Set['asyncio.Task[None]'] = set()

    def drive(self, first: Running) -> None:
        """Until none is open, and nothing that they have started runs on in the loop."""
        try:
            self._loop.run_until_complete(self._run(first))
            self._loop.run_until_complete(self._cancel_rest())
        except BaseException as error:
            # What a task of an operation's own raised was the loop's end, and so that of all.
            end_process(error)

    async def _run(self, first: Running) -> None:
        self._emptied = asyncio.Event()
        context = contextvars.copy_context()
        # Whoever reads may be another thread, in which an operation waits for an answer.
        self._inbox.on_run = lambda: self._loop.call_soon_threadsafe(
            self._begin_waiting, context=context
        )
        self._loop.add_reader(self._link.fileno(), self._inbox.listen)
        try:
            with printing.parted():
                self._begin(first)
                self._begin_waiting()
                while self._open:
                    self._emptied.clear()
                    await self._emptied.wait()
        finally:
            self._loop.remove_reader(self._link.fileno())
            self._inbox.on_run = None

    def _begin_waiting(self) -> None:
        name = self._operation.domain, self._operation.name
        while True:
            running = self._inbox.next_of(name) if self._open else None
            if running is None:
                return
            self._begin(running)

    def _begin(self, running: Running) -> None:
        running.note_begun(self._page)
        task = self._loop.create_task(self._drive(running))
        running.cancel = lambda: self._loop.call_soon_threadsafe(task.cancel)
        if running.abort_reason is not None:
            # Another thread has heard of it in the meantime.
            running.cancel()
        self._open.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: 'asyncio.Task[None]') -> None:
        self._open.discard(task)
        if not self._open:
            self._emptied.set()

    async def _drive(self, running: Running) -> None:
        try:
            await self._finish(running)
        except BaseException as error:
            # Its end cannot be told otherwise.
            end_process(error)

    async def _finish(self, running: Running) -> None:
        printing.OWN.set(running)
        failure = await self._call(running)
        running.wait_for_answers()
        running.flush_printed()
        streams.flush()
        self._inbox.end(running)
        if failure is None:
            self._link.send(running.last('done'))
        else:
            self._link.send(running.last('failed', **failure))

    async def _call(self, running: Running) -> Optional[Dict[str, Any]]:
        try:
            await self._operation.function(RunningTask(running, self._operation))
        except BaseException as error:
            if self._link.is_forked:
                end_child(error)
            # Also one that would end the loop, and with it all others.
            return failed(error)
        if self._link.is_forked:
            end_child(None)
        return None

    async def _cancel_rest(self) -> None:
        """What was started and not awaited is not the next one's."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest and (await asyncio.wait(rest, timeout=_PATIENCE))[1]:
            sys.stderr.write(
                f'what `{self._operation.name}` has started and not awaited does not end: its process is replaced\n'
            )
            sys.stderr.flush()
            os._exit(1)
