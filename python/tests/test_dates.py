"""Reading dates as programs and people write them."""

import datetime as dt

import pytest

from rework.dates import iso, parse

DAY = dt.datetime(1973, 5, 20)
NINE = dt.datetime(1973, 5, 20, 9)
EVENING = dt.datetime(1973, 5, 20, 21, 5, 7)


def zoned(**offset):
    return NINE.replace(tzinfo=dt.timezone(dt.timedelta(**offset)))


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('1973-05-20', DAY),
        ('1973-5-20', DAY),
        (' 1973-05-20\n', DAY),
        ('1973/5/20', DAY),
        ('19730520', DAY),
        ('20 May 1973', DAY),
        ('20 MAY 1973', DAY),
        ('20-may-1973', DAY),
        ('20th May, 1973', DAY),
        ('May 20, 1973', DAY),
        ('may 20 1973', DAY),
        ('May 20th, 1973', DAY),
        ('Sun 20 May 1973', DAY),
        ('sunday, 20 may 1973', DAY),
        ('Sun, 1973-05-20', DAY),
        ('1973-05-20T09:00', NINE),
        ('1973-05-20t09:00', NINE),
        ('1973-05-20 09:00', NINE),
        ('1973-05-20  9:00:00', NINE),
        ('1973-05-20T09', NINE),
        ('1973-05-20T0900', NINE),
        ('19730520T0900', NINE),
        ('19730520T090000', NINE),
        ('1973/5/20 9:00', NINE),
        ('20 May 1973 09:00', NINE),
        ('20 May 1973, 09:00', NINE),
        ('May 20, 1973 9:00 am', NINE),
        ('May 20, 1973 9am', NINE),
        ('May 20, 1973 9:05:07 pm', EVENING),
        ('May 20, 1973 9:05:07 P.M.', EVENING),
        ('Sun May 20 1973 21:05:07', EVENING),
        ('May 20, 1973 12 am', DAY),
        ('May 20, 1973 12:00 pm', DAY.replace(hour=12)),
        ('1973-05-20T09:00:00.5', NINE.replace(microsecond=500_000)),
        ('1973-05-20T09:00:00,25', NINE.replace(microsecond=250_000)),
        ('1973-05-20T09:00:00.000001', NINE.replace(microsecond=1)),
        ('1973-05-20T09:00:00.123456789', NINE.replace(microsecond=123_456)),
        ('1973-05-20T090000.123', NINE.replace(microsecond=123_000)),
        ('1973-05-20T09:00Z', zoned()),
        ('1973-05-20T09:00:00z', zoned()),
        ('1973-05-20 09:00 UTC', zoned()),
        ('1973-05-20T09:00+00:00', zoned()),
        ('1973-05-20T09:00+02', zoned(hours=2)),
        ('1973-05-20T09:00+0200', zoned(hours=2)),
        ('1973-05-20T09:00+02:00', zoned(hours=2)),
        ('1973-05-20 09:00 -05:30', zoned(hours=-5, minutes=-30)),
        ('19730520T0900-0330', zoned(hours=-3, minutes=-30)),
        ('1973-05-20T09:00:00+00:19:32.000005', zoned(minutes=19, seconds=32, microseconds=5)),
        ('2024-02-29', dt.datetime(2024, 2, 29)),
        ('0001-01-01T00:00:00', dt.datetime.min),
    ],
)
def test_parse_reads_the_usual_forms_of_dates_and_times(text, expected):
    read = parse(text)
    assert read == expected
    assert read.utcoffset() == expected.utcoffset()


@pytest.mark.parametrize('month', range(1, 13))
def test_months_are_read_by_full_name_or_three_letters(month):
    day = dt.datetime(2023, month, 9, 8, 30)
    name = ('January February March April May June July August September October November December').split()[month - 1]
    for spelled in (name, name[:3], name.upper(), name[:3].lower(), name[:3] + '.'):
        assert parse(f'9 {spelled} 2023 08:30') == day
        assert parse(f'{spelled} 9, 2023 8:30 am') == day


@pytest.mark.parametrize('days', range(7))
def test_weekdays_are_read_by_full_name_or_three_letters(days):
    name = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split()[days]
    for spelled in (name, name[:3], name[:3].upper() + ','):
        assert parse(f'{spelled} {days + 1} January 2024') == dt.datetime(2024, 1, days + 1)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('5/6/1973', 'day or the month first: write the year first'),
        ('05-06-1973', 'day or the month first'),
        ('5.6.73 09:00', 'day or the month first'),
        ('Sun 5/6/1973', 'day or the month first'),
        ('1973-2-30', 'is not a day of the calendar'),
        ('1973-13-01', 'is not a day of the calendar'),
        ('0000-01-01', 'is not a day of the calendar'),
        ('31 June 1973', 'is not a day of the calendar'),
        ('Mon 20 May 1973', 'is a Sunday'),
        ('1973-05-20T25:00', 'a time that does not exist'),
        ('1973-05-20T09:60', 'a time that does not exist'),
        ('1973-05-20T09:00:61', 'a time that does not exist'),
        ('1973-05-20 13:00 pm', 'am and pm go with an hour in 1..12'),
        ('1973-05-20 0 am', 'am and pm go with an hour in 1..12'),
        ('1973-05-20T09:00+25:00', 'a time that does not exist'),
        ('1973-05-20T09:00+02:60', 'an offset has minutes'),
        ('', 'not a date that can be read'),
        ('lol', 'not a date that can be read'),
        ('9:00', 'not a date that can be read'),
        ('1973', 'not a date that can be read'),
        ('1973-05', 'not a date that can be read'),
        ('1973-05-20x', 'not a date that can be read'),
        ('1973-05-20T', 'not a date that can be read'),
        ('1973-05-20 09', 'not a date that can be read'),
        ('1973-05-200', 'not a date that can be read'),
        ('1973-05-20T09:00:00.1234567890', 'not a date that can be read'),
        ('1973-05-20T09:00 CET', 'not a date that can be read'),
        ('20 Mai 1973', 'not a date that can be read'),
        ('20 May 73', 'not a date that can be read'),
        ('20May1973', 'not a date that can be read'),
        ('١٩٧٣-٠٥-٢٠', 'not a date that can be read'),
    ],
)
def test_parse_refuses_what_is_not_a_date_or_is_ambiguous(text, message):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value).startswith(repr(text))
    assert message in str(caught.value)


def test_parse_refuses_what_is_not_a_text():
    with pytest.raises(TypeError, match='a date is read from text, not from 3'):
        parse(3)


def test_a_long_text_is_cut_in_the_error():
    with pytest.raises(ValueError) as caught:
        parse('x' * 100_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    'moment',
    [dt.datetime.min, dt.datetime.max, zoned(hours=-23, minutes=-59), zoned(seconds=1)],
)
def test_parse_reads_what_iso_writes(moment):
    assert parse(iso(moment)) == moment
