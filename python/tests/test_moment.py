"""Moment expressions: their values, and the positions in their errors."""

import datetime as dt

import pytest

from rework.describe import short_repr
from rework.moment import MAX_DEPTH, check, evaluate

NOW = dt.datetime(2024, 2, 29, 10, 11, 12, 13)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('(today)', NOW),
        ('  ( today\n)  ', NOW),
        ('(date "2021-1-1 09:00")', dt.datetime(2021, 1, 1, 9)),
        ('(date "20 May 1973")', dt.datetime(1973, 5, 20)),
        ('(date"2021-1-1")', dt.datetime(2021, 1, 1)),
        ('(monthstart (today))', NOW.replace(day=1)),
        ('(monthend (date "2024-2-3"))', dt.datetime(2024, 2, 29)),
        ('(monthend (date "2023-2-3 07:00"))', dt.datetime(2023, 2, 28, 7)),
        ('(yearstart (today))', NOW.replace(month=1, day=1)),
        ('(yearend (today))', NOW.replace(month=12, day=31)),
        ('(shifted (today))', NOW),
        ('(shifted (today) #:days 1)', NOW.replace(month=3, day=1)),
        ('(shifted #:days +1 (today))', NOW.replace(month=3, day=1)),
        ('(shifted (today) #:years 1)', NOW.replace(year=2025, day=28)),
        ('(shifted (today) #:months 12)', NOW.replace(year=2025, day=28)),
        ('(shifted (today) #:months -2)', NOW.replace(year=2023, month=12)),
        ('(shifted (today) #:years 1 #:months -12)', NOW),
        ('(shifted (today) #:weeks -1)', NOW.replace(day=22)),
        ('(shifted (today) #:hours 2 #:minutes -11)', NOW.replace(hour=12, minute=0)),
        ('(shifted (today) #:seconds 1 #:microseconds -13)', NOW.replace(second=13, microsecond=0)),
        # Months are added first and the day is clipped, in whatever order the units are written.
        ('(shifted (date "2024-1-31") #:days 1 #:months 1)', dt.datetime(2024, 3, 1)),
        (
            '(shifted (yearstart (date "2024-2-3 10:00")) #:months -1 #:hours 2)',
            dt.datetime(2023, 12, 1, 12),
        ),
        (
            '(shifted (date "2024-1-1T09:00Z") #:days 1)',
            dt.datetime(2024, 1, 2, 9, tzinfo=dt.timezone.utc),
        ),
    ],
)
def test_an_expression_gives_a_datetime(text, expected):
    check(text)
    assert evaluate(text, NOW) == expected


def test_today_is_now_and_naive():
    before = dt.datetime.now()
    today = evaluate('(today)')
    assert before <= today <= dt.datetime.now()
    assert today.tzinfo is None


@pytest.mark.parametrize(
    ('text', 'position', 'why'),
    [
        ('', 1, 'something is missing'),
        ('  ', 3, 'something is missing'),
        ('lol', 1, '`lol` is neither a call, nor a text, nor a whole number'),
        ('today', 1, '`today` is called in parentheses'),
        ('3', 1, 'this is a whole number, not a moment'),
        ('"2024-1-1"', 1, 'this is a text, not a moment'),
        ('(today', 7, '`(today` of character 1 has no closing `)`'),
        ('(today))', 8, 'the expression has already ended'),
        ('(today) 3', 9, 'the expression has already ended'),
        (')', 1, 'nothing is open'),
        ('()', 2, 'a name is missing'),
        ('(', 2, 'a name is missing'),
        ('("x")', 2, 'a name is missing'),
        ('(monthstar (today))', 2, 'there is no function `monthstar`: did you mean `monthstart`?'),
        ('(__import__)', 2, 'there is no function `__import__`: there are `today`, `date`'),
        ('(today 1)', 1, '`today` takes nothing, not 1 values'),
        ('(monthend)', 1, '`monthend` takes a moment, not 0 values'),
        ('(monthend (today) (today))', 1, '`monthend` takes a moment, not 2 values'),
        ('(monthend 3)', 11, '`monthend` takes a moment, not a whole number'),
        ('(monthend "2024-1-1")', 11, '`monthend` takes a moment, not a text'),
        ('(date (today))', 7, '`date` takes a text, not a moment'),
        ('(date "lol")', 1, "'lol' is not a date that can be read"),
        ('(date "5/6/1973")', 1, "'5/6/1973' may be read with the day or the month first"),
        ('(date "2024-1-1)', 7, 'no closing `"`'),
        (r'(date "\n")', 7, r'`\n` is none of the escapes'),
        ('(monthend (today) #:days 1)', 19, '`monthend` takes no `#:days`'),
        ('(shifted (today) #:day 1)', 18, '`shifted` takes no `#:day`: did you mean `days`?'),
        ('(shifted (today) #:days)', 24, '`#:days` has no number after it'),
        ('(shifted (today) #:days', 24, 'something is missing'),
        ('(shifted (today) #:days 1.5)', 25, '`1.5` is neither'),
        ('(shifted (today) #:days (today))', 25, '`#:days` takes a whole number, not a moment'),
        ('(shifted (today) #:days 1 #:days 1)', 27, '`#:days` is given twice'),
        ('(shifted (today) #:years 9000)', 1, 'beyond the calendar'),
        ('(shifted (today) #:months -99999)', 1, 'beyond the calendar'),
        ('(shifted (today) #:days 9999999)', 1, 'beyond the calendar'),
        ('(shifted (today) #:weeks 999999999999999)', 1, 'beyond the calendar'),
        ('(shifted (today) #:days 9999999999999999)', 25, 'is neither'),
        ('(monthend ' * 10_000, 501, f'more than {MAX_DEPTH} parentheses'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_expression_is_refused_with_its_position(text, position, why):
    with pytest.raises(ValueError) as caught:
        check(text)
    assert str(caught.value) == f'value `{short_repr(text)}` is not a valid moment expression'
    assert str(caught.value.__cause__).startswith(f'at character {position}: ')
    assert why in str(caught.value.__cause__)
    with pytest.raises(ValueError):
        evaluate(text, NOW)


def test_quotes_and_backslashes_can_be_escaped():
    with pytest.raises(ValueError) as caught:
        check(r'(date "\"a\\c\\")')
    assert repr(r'"a\c' + '\\') in str(caught.value.__cause__)


def test_an_expression_may_be_nested_up_to_the_limit():
    text = '(monthend ' * (MAX_DEPTH - 1) + '(today)' + ')' * (MAX_DEPTH - 1)
    assert evaluate(text, NOW) == NOW


def test_what_is_not_a_text_is_refused():
    with pytest.raises(TypeError, match='^value `3` is not a valid moment expression$'):
        check(3)


def test_the_expressions_of_the_scenario_are_evaluated():
    """Scenario RW-17."""
    assert evaluate('(monthend (date "2024-2-3"))') == dt.datetime(2024, 2, 29)
    shifted = '(shifted (yearstart (date "2024-2-3 10:00")) #:months -1 #:hours 2)'
    assert evaluate(shifted) == dt.datetime(2023, 12, 1, 12)
    with pytest.raises(ValueError, match="^value `'lol'` is not a valid moment expression$"):
        check('lol')
