"""Read dates as people and programs write them: ISO 8601 in its usual variants, and English dates.

`1973-05-20T09:00` and `20 May 1973 09:00` are both read. Nothing is guessed: a text that may mean two different
days, such as `5/6/1973`, is refused.
"""

from __future__ import annotations

import datetime
import re

from rework.describe import short_repr

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


def _names_pattern(names: tuple[str, ...]) -> str:
    """Return a pattern that matches each name in full, or its first three letters."""
    return '|'.join(f'{name[:3]}(?:{name[3:]})?' if name[3:] else name for name in names)


_WEEKDAY = re.compile(rf'(?P<weekday>{_names_pattern(_WEEKDAYS)})(?:\.?,\s*|\.?\s+)', re.I | re.A)

_MONTH = rf'(?P<month>{_names_pattern(_MONTHS)}|sept)\.?'
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
_AM_PM = r'(?:\s*(?P<am_pm>[ap])\.?m\.?)'
_TIMES = tuple(
    re.compile(pattern + _ZONE, re.I | re.A)
    for pattern in (
        rf'(?:T|,?\s+)(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d){_FRACTION})?{_AM_PM}?',
        rf'(?:T|\s+)(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d){_FRACTION})?',
        rf',?\s+(?P<hour>\d{{1,2}}){_AM_PM}',
        r'T(?P<hour>\d\d)',
    )
)

_DAY_FIRST_OR_LAST = re.compile(r'\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d{2})(?!\d)', re.A)


def parse(text: str) -> datetime.datetime:
    """Return the moment that a text describes, at midnight if the text has no time.

    The result is naive, unless the text has a zone (`Z`, `+02`, `+0200`, `+02:00`). Digits after the microseconds
    are dropped.

    Raise ValueError if the text is not a date, or names a day that does not exist.
    Raise TypeError if it is not a text.
    """
    if not isinstance(text, str):
        raise TypeError(f'a date is read from text, not from {short_repr(text)}')
    unread = text.strip()
    weekday = _WEEKDAY.match(unread)
    if weekday is not None:
        unread = unread[weekday.end() :]
    if _DAY_FIRST_OR_LAST.match(unread):
        raise ValueError(
            f'{short_repr(text)} may be read with the day or the month first: '
            'write the year first (1973-05-20), or the month as a word (20 May 1973)'
        )
    day, unread = _parse_day(text, unread)
    if weekday is not None:
        _check_weekday(text, weekday.group('weekday'), day)
    if not unread:
        return datetime.datetime.combine(day, datetime.time())
    return datetime.datetime.combine(day, _parse_time(text, unread))


def iso(value: datetime.datetime) -> str:
    """Return the ISO 8601 text of a moment. `parse` returns an equal moment from it.

    Raise ValueError if the value would be lost: NaT of pandas, or nanoseconds.
    """
    text = value.isoformat()
    # Only a subclass can hold anything that a datetime cannot.
    if type(value) is datetime.datetime:
        return text
    # The zones are left out of the comparison. In the hour that a change of the clocks repeats, Python never
    # treats times of two different zones as equal.
    if parse(text).replace(tzinfo=None) != value.replace(tzinfo=None):
        raise ValueError(f'{short_repr(value)} is finer than a microsecond')
    return text


def _parse_day(text: str, unread: str) -> tuple[datetime.date, str]:
    """Return the date at the start of `unread`, and what follows it. `text` is the whole text, for errors."""
    for pattern in _DATES:
        match = pattern.match(unread)
        if match is None:
            continue
        month = match.group('month')
        try:
            day = datetime.date(
                int(match.group('year')),
                int(month) if month.isdigit() else _index_of_name(month, _MONTHS) + 1,
                int(match.group('day')),
            )
        except ValueError as error:
            raise ValueError(f'{short_repr(text)} is not a day of the calendar: {error}') from None
        return day, unread[match.end() :]
    raise _not_a_date(text)


def _parse_time(text: str, unread: str) -> datetime.time:
    for pattern in _TIMES:
        match = pattern.fullmatch(unread)
        if match is None:
            continue
        part = match.groupdict()
        try:
            return datetime.time(
                _hour(int(part['hour']), part.get('am_pm')),
                int(part.get('minute') or 0),
                int(part.get('second') or 0),
                int((part.get('fraction') or '').ljust(6, '0')[:6]),
                _zone(part),
            )
        except ValueError as error:
            raise ValueError(f'{short_repr(text)} has a time that does not exist: {error}') from None
    raise _not_a_date(text)


def _hour(hour: int, am_pm: str | None) -> int:
    if am_pm is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError('am and pm go with an hour in 1..12')
    return hour % 12 + (12 if am_pm in 'pP' else 0)


def _zone(part: dict[str, str | None]) -> datetime.timezone | None:
    if part['zone'] is None:
        return None
    if part['sign'] is None:
        return datetime.timezone.utc
    minutes, seconds = int(part['zone_minutes'] or 0), float(part['zone_seconds'] or 0)
    if minutes > 59 or seconds >= 60:
        raise ValueError('an offset has minutes and seconds in 0..59')
    offset = datetime.timedelta(hours=int(part['zone_hours'] or 0), minutes=minutes, seconds=seconds)
    return datetime.timezone(-offset if part['sign'] == '-' else offset)


def _check_weekday(text: str, written: str, day: datetime.date) -> None:
    """Raise ValueError if the weekday in the text is not that of the day."""
    actual = day.weekday()
    if _index_of_name(written, _WEEKDAYS) != actual:
        raise ValueError(f'{short_repr(text)} is a {_WEEKDAYS[actual].capitalize()}')


def _index_of_name(name: str, names: tuple[str, ...]) -> int:
    """Return the index of the name that has the same first three letters."""
    start = name.lower()[:3]
    return next(index for index, known in enumerate(names) if known.startswith(start))


def _not_a_date(text: str) -> ValueError:
    return ValueError(
        f'{short_repr(text)} is not a date that can be read: '
        'write it as 1973-05-20, 1973-05-20T09:00 or 20 May 1973 09:00'
    )
