"""Exceptions by which an operation decides whether, and when, its task is retried after this failure."""

from __future__ import annotations

import datetime


class GiveUp(Exception):
    """Raise this to fail the task now, although attempts are left: another attempt cannot succeed."""


class RetryIn(Exception):
    """Raise this to choose the delay before the next attempt, if attempts are left.

    `delay` is a number of seconds or a timedelta: `raise RetryIn(30, 'the camera is in use')`.
    Raise ValueError if `delay` is negative.
    """

    def __init__(self, delay: float | datetime.timedelta, message: str = '') -> None:
        if isinstance(delay, datetime.timedelta):
            delay = delay.total_seconds()
        if delay < 0:
            raise ValueError(f'`delay` must not be negative: {delay!r}')
        super().__init__(message or f'try again in {delay:g} s')
        #: The delay before the next attempt, in milliseconds.
        self.delay_ms = round(delay * 1000)
