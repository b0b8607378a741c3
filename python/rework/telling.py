"""How a value is told to people: what it is, cut to a bearable length, and what to pass instead.

Classes that few programs use are known by their names, so that nothing is imported for them: a
worker starts many runners, and each imports this.
"""

from __future__ import annotations

import collections
import collections.abc
import datetime
import enum
import types

#: Characters of a value that a sentence shows.
SHOWN_CHARS = 200

_GENERIC = 'turn it into numbers, strings, lists and dicts, or into bytes'

# The first class that fits gives the advice, so a class stands before those it derives from.
_BY_CLASS: tuple[tuple[type[object], str], ...] = (
    (enum.Enum, 'pass its `.value`'),
    (bytearray, 'pass `bytes(...)`'),
    (memoryview, 'pass `bytes(...)`'),
    (complex, 'pass a list of its `.real` and `.imag`'),
    (BaseException, 'pass `str(...)`'),
    (datetime.timedelta, 'pass its `.total_seconds()`'),
    (datetime.time, 'pass its `.isoformat()`'),
    (datetime.datetime, 'pass a plain `datetime.datetime`, or None'),
    (datetime.tzinfo, 'pass `str(...)`'),
    (types.FunctionType, 'pass its name'),
    (types.ModuleType, 'pass its name'),
    (collections.abc.Mapping, 'pass `dict(...)`'),
    (collections.abc.Set, 'pass `sorted(...)`, or a list'),
    (collections.deque, 'pass `list(...)`'),
    (range, 'pass `list(...)`'),
    (collections.abc.ValuesView, 'pass `list(...)`'),
    (collections.abc.Iterator, 'pass `list(...)`'),
)

# The path's base is in a module of its own in Python 3.13 only.
_BY_NAME = {
    'decimal.Decimal': 'pass `str(...)`',
    'fractions.Fraction': 'pass `str(...)`',
    'uuid.UUID': 'pass `str(...)`',
    'pathlib.PurePath': 'pass `str(...)`',
    'pathlib._local.PurePath': 'pass `str(...)`',
    'numpy.ndarray': 'pass a list (`.tolist()`), or bytes',
    'numpy.generic': 'pass its `.item()`',
    'pandas.core.frame.DataFrame': "pass a list of dicts (`.to_dict('records')`), or bytes",
    'pandas.DataFrame': "pass a list of dicts (`.to_dict('records')`), or bytes",
    'pandas.core.series.Series': 'pass a list (`.tolist()`), or bytes',
    'pandas.Series': 'pass a list (`.tolist()`), or bytes',
    'pydantic.main.BaseModel': "pass its `.model_dump(mode='json')`",
}


def shown(value: object) -> str:
    """The value's repr, cut after `SHOWN_CHARS` characters."""
    try:
        text = repr(value)
    except Exception:
        # An error about a value must not end in an error of that value.
        return f'<{kind_of(value)}>'
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + '…'


def kind_of(value: object) -> str:
    """What a value is, with its article: `a numpy.ndarray`, `an int`, `the class Path`."""
    if value is None:
        return 'None'
    if isinstance(value, type):
        return f'the class {_full_name(value)}'
    name = _full_name(type(value))
    return f'{"an" if name[0] in "aeioAEIO" else "a"} {name}'


def advice(value: object) -> str:
    """What to pass instead of a value that JSON cannot carry."""
    if isinstance(value, type):
        return 'pass its name'
    for base in type(value).__mro__:
        said = _BY_NAME.get(_full_name(base))
        if said is not None:
            return said
    if hasattr(value, '__dataclass_fields__'):
        return 'pass `dataclasses.asdict(...)`'
    if callable(getattr(value, 'read', None)):
        return 'pass what it holds (`.read()`), or its path'
    return next((said for known, said in _BY_CLASS if isinstance(value, known)), _GENERIC)


def _full_name(kind: type) -> str:
    if kind.__module__ == 'builtins':
        return kind.__qualname__
    return f'{kind.__module__}.{kind.__qualname__}'
