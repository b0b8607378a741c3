"""Reading dates as people and programs write them: ISO 8601 in its usual variants, and English
such as `20 May 1973 09:00`. Nothing is guessed: what may be two days is refused.
"""

from __future__ import annotations

import datetime
import re
from typing import Optional

from rework.telling import shown

_MONTHS = (
    'january',
    'february',
    'march',
    'april',
    'may',
    'june',
    'july',
    'august',
    'september',
    'october',
    'november',
    'december',
)
_WEEKDAYS = ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')


def _names(full: tuple[str, ...]) -> str:
    return '|'.join(f'{name[:3]}(?:{name[3:]})?' if name[3:] else name for name in full)


_WEEKDAY = re.compile(rf'(?P<weekday>{_names(_WEEKDAYS)})(?:\.?,\s*|\.?\s+)', re.I | re.A)

_MONTH = rf'(?P<month>{_names(_MONTHS)}|sept)\.?'
_ORDINAL = r'(?P<day>\d{1,2})(?:st|nd|rd|th)?'
_DATES = tuple(
    re.compile(pattern, re.I | re.A)
    for pattern in (
        r'(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\d)',
        r'(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})(?!\d)',
        r'(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?!\d)',
        rf'{_ORDINAL}(?:\s+|-){_MONTH}(?:,?\s+|-)(?P<year>\d{{4}})(?!\d)',
        rf'{_MONTH}\s+{_ORDINAL}(?:,\s*|\s+)(?P<year>\d{{4}})(?!\d)',
    )
)

_FRACTION = r'(?:[.,](?P<fraction>\d{1,9}))?'
_ZONE = (
    r'(?:\s*(?P<zone>Z|UTC|GMT|(?P<sign>[+-])(?P<zone_hours>\d\d)'
    r'(?::?(?P<zone_minutes>\d\d)(?::?(?P<zone_seconds>\d\d(?:\.\d{1,6})?))?)?))?'
)
_HALF = r'(?:\s*(?P<half>[ap])\.?m\.?)'
_TIMES = tuple(
    re.compile(pattern + _ZONE, re.I | re.A)
    for pattern in (
        rf'(?:T|,?\s+)(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d){_FRACTION})?{_HALF}?',
        rf'(?:T|\s+)(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d){_FRACTION})?',
        rf',?\s+(?P<hour>\d{{1,2}}){_HALF}',
        r'T(?P<hour>\d\d)',
    )
)

_DAY_FIRST_OR_LAST = re.compile(r'\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d{2})(?!\d)', re.A)


def parse(text: str) -> datetime.datetime:
    """The moment that a text tells; midnight, where it tells no time. Naive, unless it tells a
    zone (`Z`, `+02`, `+0200`, `+02:00`). Digits after the microseconds are dropped.

    Raises ValueError for anything else, and for a day that does not exist.
    """
    if not isinstance(text, str):
        raise TypeError(f'a date is read from text, not from {shown(text)}')
    rest = text.strip()
    weekday = _WEEKDAY.match(rest)
    if weekday is not None:
        rest = rest[weekday.end() :]
    if _DAY_FIRST_OR_LAST.match(rest):
        raise ValueError(
            f'{shown(text)} may be read with the day or the month first: '
            'write the year first (1973-05-20), or the month as a word (20 May 1973)'
        )
    day, rest = _day(text, rest)
    if weekday is not None:
        _check_weekday(text, weekday.group('weekday'), day)
    if not rest:
        return datetime.datetime.combine(day, datetime.time())
    return datetime.datetime.combine(day, _time(text, rest))


def iso(value: datetime.datetime) -> str:
    """The ISO 8601 text of a moment, from which `parse` makes it again.

    Raises ValueError for what would not come back: the NaT and the nanoseconds of pandas.
    """
    text = value.isoformat()
    # Only subclasses can be more, or less, than a datetime.
    if type(value) is datetime.datetime:
        return text
    # Zones are left out: in an hour that comes twice, no time equals one of another zone.
    if parse(text).replace(tzinfo=None) != value.replace(tzinfo=None):
        raise ValueError(f'{shown(value)} is finer than a microsecond')
    return text


def _day(text: str, rest: str) -> tuple[datetime.date, str]:
    for pattern in _DATES:
        found = pattern.match(rest)
        if found is None:
            continue
        month = found.group('month')
        try:
            day = datetime.date(
                int(found.group('year')),
                int(month) if month.isdigit() else _index(month, _MONTHS) + 1,
                int(found.group('day')),
            )
        except ValueError as error:
            raise ValueError(f'{shown(text)} is no day of the calendar: {error}') from None
        return day, rest[found.end() :]
    raise _unread(text)


def _time(text: str, rest: str) -> datetime.time:
    for pattern in _TIMES:
        found = pattern.fullmatch(rest)
        if found is None:
            continue
        part = found.groupdict()
        try:
            return datetime.time(
                _hour(int(part['hour']), part.get('half')),
                int(part.get('minute') or 0),
                int(part.get('second') or 0),
                int((part.get('fraction') or '').ljust(6, '0')[:6]),
                _zone(part),
            )
        except ValueError as error:
            raise ValueError(f'{shown(text)} has a time that does not exist: {error}') from None
    raise _unread(text)


def _hour(hour: int, half: Optional[str]) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError('am and pm go with an hour in 1..12')
    return hour % 12 + (12 if half in 'pP' else 0)


def _zone(part: dict[str, Optional[str]]) -> Optional[datetime.timezone]:
    if part['zone'] is None:
        return None
    if part['sign'] is None:
        return datetime.timezone.utc
    minutes, seconds = int(part['zone_minutes'] or 0), float(part['zone_seconds'] or 0)
    if minutes > 59 or seconds >= 60:
        raise ValueError('an offset has minutes and seconds in 0..59')
    offset = datetime.timedelta(
        hours=int(part['zone_hours'] or 0), minutes=minutes, seconds=seconds
    )
    return datetime.timezone(-offset if part['sign'] == '-' else offset)


def _check_weekday(text: str, told: str, day: datetime.date) -> None:
    actual = day.weekday()
    if _index(told, _WEEKDAYS) != actual:
        raise ValueError(f'{shown(text)} is a {_WEEKDAYS[actual].capitalize()}')


def _index(name: str, full: tuple[str, ...]) -> int:
    start = name.lower()[:3]
    return next(index for index, known in enumerate(full) if known.startswith(start))


def _unread(text: str) -> ValueError:
    return ValueError(
        f'{shown(text)} is not a date that can be read: '
        'write it as 1973-05-20, 1973-05-20T09:00 or 20 May 1973 09:00'
    )
