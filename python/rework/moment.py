"""Evaluate moment expressions: a small Lisp for dates that are computed when they are read.

`(shifted (monthstart (today)) #:months -1)` is the first day of the last month. Expressions have no side effects and
always end, so an expression is checked by evaluating it. `_Reader` parses the text into nodes that know their
positions. `_evaluate_node` then evaluates each node with the function that `_FUNCTIONS` has for its name.
"""

from __future__ import annotations

import calendar
import datetime
import difflib
import re
from collections.abc import Iterable
from typing import Callable, NamedTuple, Union

from rework.dates import parse
from rework.describe import short_repr, type_with_article

#: The number of parentheses that may contain each other. Useful expressions have a handful; the limit keeps the
#: recursion of the parser far from Python's own limit.
MAX_DEPTH = 50

_TOKEN = re.compile(r'\s*(?:(?P<paren>[()])|(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<word>[^\s()\"]+))', re.S)
_INTEGER = re.compile(r'[+-]?\d{1,15}', re.A)

_UNITS = ('years', 'months', 'weeks', 'days', 'hours', 'minutes', 'seconds', 'microseconds')

Value = Union[datetime.datetime, str, int]


def check(text: str) -> None:
    """Check a moment expression.

    Raise ValueError if it is wrong. Its cause says where and why. Raise TypeError if it is not a text.
    """
    evaluate(text)


def evaluate(text: str, now: datetime.datetime | None = None) -> datetime.datetime:
    """Return the datetime that a moment expression gives.

    `(today)` is `now`, by default the present local time: naive, and with its time of day.

    Raise ValueError if the expression is wrong. Its cause says where and why. Raise TypeError if it is not a text.
    """
    message = f'value `{short_repr(text)}` is not a valid moment expression'
    if not isinstance(text, str):
        raise TypeError(message) from _ExpressionError(f'it is {type_with_article(text)}, not text')
    try:
        node = _Reader(text).read()
        value = _evaluate_node(node, now or datetime.datetime.now())
        if not isinstance(value, datetime.datetime):
            raise _error(node, f'this is {_kind_name(value)}, not a moment')
        return value
    except _ExpressionError as error:
        raise ValueError(message) from error


class _ExpressionError(ValueError):
    """Says at which character an expression is wrong, and why."""


class _Call(NamedTuple):
    """A function call: `(name arguments… #:keyword value…)`."""

    position: int
    name: str
    arguments: list[_Node]
    keywords: dict[str, _Node]


class _Atom(NamedTuple):
    """A text or an integer."""

    position: int
    value: str | int


_Node = Union[_Call, _Atom]


class _Reader:
    """Parses a text into a node. Positions are numbers of characters, from 1."""

    def __init__(self, text: str) -> None:
        self.text = text
        #: The index behind the last token.
        self.index = 0
        #: The position of the last token, for error messages.
        self.position = 1

    def read(self) -> _Node:
        node = self._node(self._next(), 0)
        if self._next() is not None:
            raise _error(self, 'the expression has already ended')
        return node

    def _next(self) -> re.Match[str] | None:
        """Return the next token, or None at the end of the text."""
        token = _TOKEN.match(self.text, self.index)
        if token is None:
            unread = self.text[self.index :]
            self.position = len(self.text) - len(unread.lstrip()) + 1
            if unread.strip():
                raise _error(self, 'a text that starts here has no closing `"`')
            return None
        self.index = token.end()
        self.position = token.start(token.lastgroup or 0) + 1
        return token

    def _node(self, token: re.Match[str] | None, depth: int) -> _Node:
        position = self.position
        if token is None:
            raise _error(self, 'something is missing')
        if token['text'] is not None:
            return _Atom(position, self._unescaped(token['text'][1:-1]))
        if token['word'] is not None:
            return _Atom(position, self._integer(token['word']))
        if token['paren'] == ')':
            raise _error(self, 'nothing is open that `)` could close')
        if depth >= MAX_DEPTH:
            raise _error(self, f'there are more than {MAX_DEPTH} parentheses within each other')
        return self._call(position, depth)

    def _call(self, position: int, depth: int) -> _Call:
        token = self._next()
        if token is None or token['word'] is None:
            raise _error(self, f'a name is missing after `(`: {_listed(_FUNCTIONS)}')
        name = token['word']
        if name not in _FUNCTIONS:
            raise _error(self, f'there is no function `{name}`{_suggestion(name, _FUNCTIONS)}')
        call = _Call(position, name, [], {})
        while True:
            token = self._next()
            if token is None:
                raise _error(self, f'`({name}` of character {position} has no closing `)`')
            if token['paren'] == ')':
                return call
            if token['word'] is not None and token['word'].startswith('#:'):
                self._keyword(token['word'], call, depth)
            else:
                call.arguments.append(self._node(token, depth + 1))

    def _keyword(self, word: str, call: _Call, depth: int) -> None:
        keyword = word[2:]
        if call.name != 'shifted':
            raise _error(self, f'`{call.name}` takes no `{word}`')
        if keyword not in _UNITS:
            raise _error(self, f'`shifted` takes no `{word}`{_suggestion(keyword, _UNITS)}')
        if keyword in call.keywords:
            raise _error(self, f'`{word}` is given twice')
        token = self._next()
        if token is not None and token['paren'] == ')':
            raise _error(self, f'`{word}` has no number after it')
        call.keywords[keyword] = self._node(token, depth + 1)

    def _integer(self, word: str) -> int:
        if _INTEGER.fullmatch(word):
            return int(word)
        if word in _FUNCTIONS:
            raise _error(self, f'`{word}` is called in parentheses: `({word} …)`')
        raise _error(self, f'`{word}` is neither a call, nor a text, nor a whole number')

    def _unescaped(self, inner: str) -> str:
        for escape in re.findall(r'\\.', inner, re.S):
            if escape[1] not in '"\\':
                raise _error(self, f'`{escape}` is none of the escapes `\\"` and `\\\\`')
        return re.sub(r'\\(.)', r'\1', inner)


def _evaluate_node(node: _Node, now: datetime.datetime) -> Value:
    if isinstance(node, _Atom):
        return node.value
    kinds, function = _FUNCTIONS[node.name]
    if len(node.arguments) != len(kinds):
        takes = ' and '.join(_KIND_NAMES[kind] for kind in kinds) or 'nothing'
        raise _error(node, f'`{node.name}` takes {takes}, not {len(node.arguments)} values')
    values = [_evaluate_as(kind, argument, node.name, now) for kind, argument in zip(kinds, node.arguments)]
    units = {unit: _evaluate_as(int, argument, f'#:{unit}', now) for unit, argument in node.keywords.items()}
    try:
        return function(now, *values, **units)
    except (ValueError, OverflowError) as error:
        raise _error(node, str(error)) from error


def _evaluate_as(kind: type, node: _Node, taker: str, now: datetime.datetime) -> Value:
    """Return the value of an argument, which must be of this kind. `taker` is the function that takes it."""
    value = _evaluate_node(node, now)
    if not isinstance(value, kind):
        raise _error(node, f'`{taker}` takes {_KIND_NAMES[kind]}, not {_kind_name(value)}')
    return value


def _shifted(
    now: datetime.datetime, day: datetime.datetime, years: int = 0, months: int = 0, **units: int
) -> datetime.datetime:
    months += day.year * 12 + day.month - 1 + years * 12
    year, month = months // 12, months % 12 + 1
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise ValueError(f'the year {year} is beyond the calendar')
    # The 31st becomes the last day of a shorter month.
    moved = day.replace(year=year, month=month, day=min(day.day, _last_day(year, month)))
    try:
        return moved + datetime.timedelta(**units)
    except OverflowError:
        raise ValueError('this is shifted beyond the calendar') from None


def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


#: For each name the kinds of its arguments, and its function, whose first argument is the present time.
_FUNCTIONS: dict[str, tuple[tuple[type, ...], Callable[..., datetime.datetime]]] = {
    'today': ((), lambda now: now),
    'date': ((str,), lambda now, text: parse(text)),
    'monthstart': ((datetime.datetime,), lambda now, day: day.replace(day=1)),
    'monthend': (
        (datetime.datetime,),
        lambda now, day: day.replace(day=_last_day(day.year, day.month)),
    ),
    'yearstart': ((datetime.datetime,), lambda now, day: day.replace(month=1, day=1)),
    'yearend': ((datetime.datetime,), lambda now, day: day.replace(month=12, day=31)),
    'shifted': ((datetime.datetime,), _shifted),
}

_KIND_NAMES = {datetime.datetime: 'a moment', str: 'a text', int: 'a whole number'}


def _kind_name(value: Value) -> str:
    return next(name for kind, name in _KIND_NAMES.items() if isinstance(value, kind))


def _suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the known name that is most similar, or all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f': did you mean `{near[0]}`?' if near else f': {_listed(known)}'


def _listed(known: Iterable[str]) -> str:
    return 'there are ' + ', '.join(f'`{name}`' for name in known)


def _error(at: _Node | _Reader, why: str) -> _ExpressionError:
    return _ExpressionError(f'at character {at.position}: {why}')
