"""What an operation may raise to say itself what follows from its failure."""

from __future__ import annotations

import datetime
from typing import Union


class GiveUp(Exception):
    """No further attempt can mend it: the task fails, whatever attempts are left."""


class RetryIn(Exception):
    """The next attempt, while there are attempts left, comes after `delay`: seconds, or a timedelta.

    `raise RetryIn(30, 'the camera is in use')`
    """

    def __init__(self, delay: Union[float, datetime.timedelta], message: str = '') -> None:
        if isinstance(delay, datetime.timedelta):
            delay = delay.total_seconds()
        if delay < 0:
            raise ValueError(f'`delay` is seconds from now on, not {delay!r}')
        super().__init__(message or f'try again in {delay:g} s')
        #: In milliseconds.
        self.delay_ms = round(delay * 1000)
