"""Exceptions by which an operation decides whether, and when, its task is tried again."""

from __future__ import annotations

import datetime
import math

#: The longest delay, in milliseconds: the database shortens longer ones to the same.
_MAX_DELAY_MS = 365 * 86_400_000


class GiveUp(Exception):
    """Raise this to fail the task now, although attempts are left: another attempt cannot succeed."""


class _Later(Exception):
    """The base class of the exceptions that name a delay, in seconds or as a timedelta."""

    def __init__(self, delay: float | datetime.timedelta, message: str = '') -> None:
        if isinstance(delay, datetime.timedelta):
            delay = delay.total_seconds()
        elif not isinstance(delay, (int, float)) or isinstance(delay, bool):
            raise TypeError(f'`delay` must be a number of seconds or a timedelta, not {delay!r:.60}')
        if not delay >= 0 or math.isinf(delay):
            raise ValueError(f'`delay` must be finite and not negative: {delay!r}')
        super().__init__(message or f'try again in {delay:g} s')
        #: The delay before the next run, in milliseconds.
        self.delay_ms = min(round(delay * 1000), _MAX_DELAY_MS)


class RetryIn(_Later):
    """Raise this to choose the delay before the next attempt, if attempts are left.

    `delay` is a number of seconds or a timedelta: `raise RetryIn(30, 'the camera is in use')`.
    Raise ValueError if `delay` is negative.
    """


class PutOff(_Later):
    """Raise this to have the task started again after a delay. That uses no attempt: the work cannot start yet.

    `delay` is a number of seconds or a timedelta, at most 365 days: `raise PutOff(30, 'the file is not complete')`.
    A task that was put off 1,000 times in a row fails when it is put off again.
    Raise ValueError if `delay` is negative.
    """
