"""Durations and sizes as people write them: `5m`, `1h30m`, `2GiB`. As on the command line, less ISO 8601."""

from __future__ import annotations

import datetime
import re

_UNITS = {'d': 86400.0, 'h': 3600.0, 'm': 60.0, 's': 1.0, 'ms': 0.001}
_DURATION = re.compile(r'(?:\d+(?:\.\d+)?(?:ms|[dhms]))+')
_PART = re.compile(r'(\d+(?:\.\d+)?)(ms|[dhms])')

#: Shorter is nothing.
_LEAST = datetime.timedelta(microseconds=1)

_SIZES = {'': 1, 'B': 1}
for _power, _letter in enumerate('KMGT', 1):
    _SIZES[f'{_letter}iB'] = 1024**_power
    _SIZES[f'{_letter}B'] = 1000**_power
_SIZE = re.compile(r'(\d+(?:\.\d+)?)\s*([KMGT]?i?B|)')


def duration(name: str, value: object, least: datetime.timedelta = _LEAST) -> datetime.timedelta:
    """A `timedelta`, or its text, of `name`; longer than nothing, unless `least` says otherwise."""
    if isinstance(value, str):
        text = value.replace(' ', '')
        if not _DURATION.fullmatch(text):
            raise ValueError(f'`{name}`: {value!r} is not a duration, such as 5m or 1h30m')
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        value = datetime.timedelta(seconds=seconds)
    if not isinstance(value, datetime.timedelta):
        raise TypeError(f"`{name}` is a timedelta, or a text such as '5m', not {value!r}")
    if value < least:
        raise ValueError(f'`{name}`: {value!r} is no time at all')
    return value


def milliseconds(value: datetime.timedelta) -> int:
    """Rounded up: what is longer than nothing stays so."""
    return -(-value // datetime.timedelta(milliseconds=1))


def size(name: str, value: object) -> int:
    """Bytes, of a number of them or of a text, of `name`."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if not match:
            raise ValueError(f'`{name}`: {value!r} is not a size, such as 2GiB or 500MB')
        value = int(float(match[1]) * _SIZES[match[2]])
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` is a number of bytes, or a text such as '2GiB', not {value!r}")
    if value <= 0:
        raise ValueError(f'`{name}`: {value!r} is no memory at all')
    return value
