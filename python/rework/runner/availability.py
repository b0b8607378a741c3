"""Run the check of an operation: the function that answers whether this host can run the operation now."""

from __future__ import annotations

import inspect
from typing import Any, Callable

from rework.operation import Operation
from rework.runner.children import end_child
from rework.runner.failure import message
from rework.runner.frames import Frame, Link, encode

#: The number of characters of a reason that are sent. The worker keeps less.
_MAX_REASON_CHARS = 1000


def reason_of(answer: object) -> str | None:
    """Return why an operation is not available, from the value that its check returned. Return None if it is."""
    if answer is True:
        return None
    if answer is False:
        return 'its check returned False'
    if isinstance(answer, str):
        return answer.strip() or 'its check returned an empty text'
    return f'its check returned {answer!r:.100}, which is not True, False or a text'


def run_check(link: Link, operation: Operation | None, run_coroutine: Callable[[Any], Any]) -> str | None:
    """Run a check. Return why the operation is not available, or None if it is.

    An operation that is not in the module counts as available: its run fails and says why. `run_coroutine` runs the
    coroutine of an `async` check, and returns its result.
    """
    if operation is None or operation.available is None:
        return None
    try:
        answer = operation.available()
        if inspect.iscoroutine(answer):
            answer = run_coroutine(answer)
        reason = reason_of(answer)
    except BaseException as error:
        if link.is_forked:
            end_child(error)
        return message(error)
    if link.is_forked:
        end_child(None)
    return reason


async def run_check_in_loop(link: Link, operation: Operation) -> str | None:
    """Run a check while runs of the operation are open in the event loop. Return as `run_check`."""
    if operation.available is None:
        return None
    try:
        answer = operation.available()
        if inspect.iscoroutine(answer):
            answer = await answer
        reason = reason_of(answer)
    except BaseException as error:
        if link.is_forked:
            end_child(error)
        return message(error)
    if link.is_forked:
        end_child(None)
    return reason


def send_answer(link: Link, request: Frame, reason: str | None) -> None:
    """Send the answer to a `check` frame."""
    shortened = None if reason is None else reason[:_MAX_REASON_CHARS]
    link.send(encode({'type': 'checked', 'number': request.head['number'], 'reason': shortened}))
