"""The moment language, a small lisp for dates that are known when they are read:
`(shifted (monthstart (today)) #:months -1)`.

Every expression can be evaluated at once and has no effects, so checking one is evaluating it.
A text is read into nodes that know their place; each node is then evaluated by its function.
"""

from __future__ import annotations

import calendar
import datetime
import difflib
import re
from collections.abc import Iterable
from typing import Callable, NamedTuple, NoReturn, Optional, Union

from rework.dates import parse
from rework.telling import kind_of, shown

#: Parentheses within each other: an expression of people has a handful.
MAX_DEPTH = 50

_TOKEN = re.compile(
    r'\s*(?:(?P<mark>[()])|(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<word>[^\s()\"]+))', re.S
)
_INTEGER = re.compile(r'[+-]?\d{1,15}', re.A)

_UNITS = ('years', 'months', 'weeks', 'days', 'hours', 'minutes', 'seconds', 'microseconds')

Value = Union[datetime.datetime, str, int]


def check(text: str) -> None:
    """Raises ValueError if the text is no moment expression; its cause tells where and why."""
    evaluate(text)


def evaluate(text: str, now: Optional[datetime.datetime] = None) -> datetime.datetime:
    """The moment that an expression gives. `(today)` is `now`: local, naive, with its time of
    day.

    Raises ValueError if the text is no moment expression; its cause tells where and why.
    """
    said = f'value `{shown(text)}` is not a valid moment expression'
    if not isinstance(text, str):
        raise TypeError(said) from _Fault(f'it is {kind_of(text)}, not text')
    try:
        node = _Reader(text).read()
        value = _value(node, now or datetime.datetime.now())
        if not isinstance(value, datetime.datetime):
            _fault(node, f'this is {_kind(value)}, not a moment')
        return value
    except _Fault as fault:
        raise ValueError(said) from fault


class _Fault(ValueError):
    """Where an expression is wrong, and why."""


class _Call(NamedTuple):
    place: int
    name: str
    arguments: list[_Node]
    keywords: dict[str, _Node]


class _Atom(NamedTuple):
    place: int
    value: Union[str, int]


_Node = Union[_Call, _Atom]


class _Reader:
    """Turns a text into a node. Places count from 1."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.place = 1

    def read(self) -> _Node:
        node = self._node(self._next(), 0)
        if self._next() is not None:
            _fault(self, 'the expression has already ended')
        return node

    def _next(self) -> Optional[re.Match[str]]:
        token = _TOKEN.match(self.text, self.at)
        if token is None:
            rest = self.text[self.at :]
            self.place = len(self.text) - len(rest.lstrip()) + 1
            if rest.strip():
                _fault(self, 'a text that begins here has no closing `"`')
            return None
        self.at = token.end()
        self.place = token.start(token.lastgroup or 0) + 1
        return token

    def _node(self, token: Optional[re.Match[str]], depth: int) -> _Node:
        place = self.place
        if token is None:
            _fault(self, 'something is missing')
        if token['text'] is not None:
            return _Atom(place, self._unescaped(token['text'][1:-1]))
        if token['word'] is not None:
            return _Atom(place, self._integer(token['word']))
        if token['mark'] == ')':
            _fault(self, 'nothing is open that `)` could close')
        if depth >= MAX_DEPTH:
            _fault(self, f'there are more than {MAX_DEPTH} parentheses within each other')
        return self._call(place, depth)

    def _call(self, place: int, depth: int) -> _Call:
        token = self._next()
        if token is None or token['word'] is None:
            _fault(self, f'a name is missing after `(`: {_listed(_FUNCTIONS)}')
        name = token['word']
        if name not in _FUNCTIONS:
            _fault(self, f'there is no `{name}`{_meant(name, _FUNCTIONS)}')
        call = _Call(place, name, [], {})
        while True:
            token = self._next()
            if token is None:
                _fault(self, f'`({name}` of character {place} has no closing `)`')
            if token['mark'] == ')':
                return call
            if token['word'] is not None and token['word'].startswith('#:'):
                self._keyword(token['word'], call, depth)
            else:
                call.arguments.append(self._node(token, depth + 1))

    def _keyword(self, word: str, call: _Call, depth: int) -> None:
        keyword = word[2:]
        if call.name != 'shifted':
            _fault(self, f'`{call.name}` takes no `{word}`')
        if keyword not in _UNITS:
            _fault(self, f'`shifted` takes no `{word}`{_meant(keyword, _UNITS)}')
        if keyword in call.keywords:
            _fault(self, f'`{word}` is given twice')
        token = self._next()
        if token is not None and token['mark'] == ')':
            _fault(self, f'`{word}` has no number after it')
        call.keywords[keyword] = self._node(token, depth + 1)

    def _integer(self, word: str) -> int:
        if _INTEGER.fullmatch(word):
            return int(word)
        if word in _FUNCTIONS:
            _fault(self, f'`{word}` is called in parentheses: `({word} …)`')
        _fault(self, f'`{word}` is neither a call, nor a text, nor a whole number')

    def _unescaped(self, inner: str) -> str:
        for escape in re.findall(r'\\.', inner, re.S):
            if escape[1] not in '"\\':
                _fault(self, f'`{escape}` is none of the escapes `\\"` and `\\\\`')
        return re.sub(r'\\(.)', r'\1', inner)


def _value(node: _Node, now: datetime.datetime) -> Value:
    if isinstance(node, _Atom):
        return node.value
    kinds, function = _FUNCTIONS[node.name]
    if len(node.arguments) != len(kinds):
        takes = ' and '.join(_KINDS[kind] for kind in kinds) or 'nothing'
        _fault(node, f'`{node.name}` takes {takes}, not {len(node.arguments)} values')
    values = [
        _of_kind(kind, argument, node.name, now) for kind, argument in zip(kinds, node.arguments)
    ]
    units = {
        unit: _of_kind(int, argument, f'#:{unit}', now) for unit, argument in node.keywords.items()
    }
    try:
        return function(now, *values, **units)
    except (ValueError, OverflowError) as error:
        _fault(node, str(error))


def _of_kind(kind: type, node: _Node, taker: str, now: datetime.datetime) -> Value:
    value = _value(node, now)
    if not isinstance(value, kind):
        _fault(node, f'`{taker}` takes {_KINDS[kind]}, not {_kind(value)}')
    return value


def _shifted(
    now: datetime.datetime, day: datetime.datetime, years: int = 0, months: int = 0, **units: int
) -> datetime.datetime:
    months += day.year * 12 + day.month - 1 + years * 12
    year, month = months // 12, months % 12 + 1
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise ValueError(f'the year {year} is beyond the calendar')
    moved = day.replace(year=year, month=month, day=min(day.day, _last_day(year, month)))
    try:
        return moved + datetime.timedelta(**units)
    except OverflowError:
        raise ValueError('this is shifted beyond the calendar') from None


def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


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

_KINDS = {datetime.datetime: 'a moment', str: 'a text', int: 'a whole number'}


def _kind(value: Value) -> str:
    return next(name for kind, name in _KINDS.items() if isinstance(value, kind))


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f': did you mean `{near[0]}`?' if near else f': {_listed(known)}'


def _listed(known: Iterable[str]) -> str:
    return 'there are ' + ', '.join(f'`{name}`' for name in known)


def _fault(at: Union[_Node, _Reader], why: str) -> NoReturn:
    raise _Fault(f'at character {at.place}: {why}')
