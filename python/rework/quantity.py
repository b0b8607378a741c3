"""Read durations and sizes as people write them: `5m`, `1h30m`, `2GiB`.

The command line reads the same texts. It also reads ISO 8601 durations (`PT5M`), which this module does not.
"""

from __future__ import annotations

import datetime
import re

_SECONDS_PER_UNIT = {'d': 86400.0, 'h': 3600.0, 'm': 60.0, 's': 1.0, 'ms': 0.001}
_DURATION = re.compile(r'(?:\d+(?:\.\d+)?(?:ms|[dhms]))+')
_DURATION_PART = re.compile(r'(\d+(?:\.\d+)?)(ms|[dhms])')

#: The shortest duration that a timedelta can express. A shorter one is zero.
_SHORTEST = datetime.timedelta(microseconds=1)

_BYTES_PER_UNIT = {'': 1, 'B': 1}
for _power, _letter in enumerate('KMGT', 1):
    _BYTES_PER_UNIT[f'{_letter}iB'] = 1024**_power
    _BYTES_PER_UNIT[f'{_letter}B'] = 1000**_power
_SIZE = re.compile(r'(\d+(?:\.\d+)?)\s*([KMGT]?i?B|)')


def duration(name: str, value: object, minimum: datetime.timedelta = _SHORTEST) -> datetime.timedelta:
    """Return the duration that a timedelta or a text such as `5m` describes.

    `name` is the name of the option, for error messages. `minimum` is the shortest duration that is allowed.

    Raise ValueError if the text is not a duration, or if the duration is too short.
    Raise TypeError if the value is neither a timedelta nor a text.
    """
    if isinstance(value, str):
        text = value.replace(' ', '')
        if not _DURATION.fullmatch(text):
            raise ValueError(f'`{name}`: {value!r} is not a duration; write it as 5m or 1h30m')
        seconds = sum(float(number) * _SECONDS_PER_UNIT[unit] for number, unit in _DURATION_PART.findall(text))
        value = datetime.timedelta(seconds=seconds)
    if not isinstance(value, datetime.timedelta):
        raise TypeError(f"`{name}` must be a timedelta, or a text such as '5m', not {value!r}")
    if value < minimum:
        raise ValueError(f'`{name}`: {value!r} is too short')
    return value


def milliseconds(value: datetime.timedelta) -> int:
    """Return the duration in milliseconds, rounded up, so that a positive duration never becomes zero."""
    return -(-value // datetime.timedelta(milliseconds=1))


def size(name: str, value: object) -> int:
    """Return the number of bytes that an int or a text such as `2GiB` describes.

    `name` is the name of the option, for error messages.

    Raise ValueError if the text is not a size, or if the size is not positive.
    Raise TypeError if the value is neither an int nor a text.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if not match:
            raise ValueError(f'`{name}`: {value!r} is not a size; write it as 2GiB or 500MB')
        value = int(float(match[1]) * _BYTES_PER_UNIT[match[2]])
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be a number of bytes, or a text such as '2GiB', not {value!r}")
    if value <= 0:
        raise ValueError(f'`{name}`: {value!r} must be more than 0 bytes')
    return value
