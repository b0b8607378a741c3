"""One run after the other, in the order in which they came: docs/runner-protocol.md, `The order of a run`."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any, Dict, Optional

from rework.operation import Operation, registry
from rework.runner import streams
from rework.runner.children import end_child, has_children
from rework.runner.crowd import Crowd
from rework.runner.failure import failed
from rework.runner.frames import Link
from rework.runner.inbox import Inbox
from rework.runner.running import Running
from rework.runner.watch import Watch
from rework.running import RunningTask


class Executor:
    """Runs operations."""

    def __init__(self, link: Link, inbox: Inbox, watch: Watch, page: Optional[int]) -> None:
        self._link = link
        self._inbox = inbox
        self._watch = watch
        self._page = page
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def run(self, running: Running) -> None:
        """From the note that it has begun to its last frame; of a crowd, all that come meanwhile."""
        head = running.head
        operation = registry.get((head['domain'], head['operation']))
        if operation is not None and operation.concurrency > 1:
            return self._crowd(running, operation)
        self._watch.wake()
        running.note_begun(self._page)
        stdout, stderr = sys.stdout, sys.stderr
        failure = self._call(running)
        # What an operation has put in their place is not the next one's.
        sys.stdout, sys.stderr = stdout, stderr
        running.wait_for_answers()
        streams.flush()
        mark = running.head.get('mark')
        if mark:
            streams.part(mark)
            if has_children():
                self._inbox.give_back()
        self._inbox.end(running)
        if failure is None:
            self._link.send(running.last('done'))
        else:
            self._link.send(running.last('failed', **failure))

    def _crowd(self, first: Running, operation: Operation) -> None:
        loop = self._own_loop()
        crowd = Crowd(loop, self._link, self._inbox, operation, self._page)
        crowd.drive(first)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def _call(self, running: Running) -> Optional[Dict[str, Any]]:
        """None, or the head of what is said of its failure."""
        head = running.head
        operation = registry.get((head['domain'], head['operation']))
        if operation is None:
            message = f'operation `{head["operation"]}` of domain `{head["domain"]}` is not in this module'
            return {'kind': 'load', 'message': message}
        try:
            self._function(operation, RunningTask(running, operation))
        except BaseException as error:
            if self._link.is_forked:
                end_child(error)
            return failed(error)
        if self._link.is_forked:
            end_child(None)
        return None

    def _function(self, operation: Operation, task: RunningTask) -> None:
        returned = operation.function(task)
        if inspect.iscoroutine(returned):
            loop = self._own_loop()
            try:
                loop.run_until_complete(returned)
            finally:
                _cancel_rest(loop)


def _cancel_rest(loop: asyncio.AbstractEventLoop) -> None:
    """What an operation has started and not awaited is not the next one's."""
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
