"""Describe a value in an error message: its type, its repr cut to a bearable length, and what to pass instead.

Classes of other packages (numpy, pandas, pydantic) are recognised by their names. So nothing has to be imported
for them: a worker starts many runners, and each of them imports this module.
"""

from __future__ import annotations

import collections
import collections.abc
import datetime
import enum
import types

#: The number of characters of a repr that an error message shows. `crates/core` cuts its messages at the same
#: length, so that the command line and this package report the same text.
MAX_REPR_CHARS = 200

_GENERAL_ADVICE = 'turn it into numbers, strings, lists and dicts, or into bytes'

# The first class that matches gives the advice. So a subclass must stand before its base class.
_ADVICE_BY_CLASS: tuple[tuple[type[object], str], ...] = (
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

# PurePath has two entries: in Python 3.13 it lives in the module `pathlib._local`.
_ADVICE_BY_NAME = {
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


def short_repr(value: object) -> str:
    """Return the repr of a value, cut after `MAX_REPR_CHARS` characters."""
    try:
        text = repr(value)
    except Exception:
        # This runs while an error message is built. An error in the value's own `__repr__` must not replace it.
        return f'<{type_with_article(value)}>'
    return text if len(text) <= MAX_REPR_CHARS else text[:MAX_REPR_CHARS] + '…'


def type_with_article(value: object) -> str:
    """Return the type of a value with its article: `a numpy.ndarray`, `an int`, `the class Path`."""
    if value is None:
        return 'None'
    if isinstance(value, type):
        return f'the class {_full_name(value)}'
    name = _full_name(type(value))
    return f'{"an" if name[0] in "aeioAEIO" else "a"} {name}'


def advice(value: object) -> str:
    """Return what to pass instead of a value that JSON cannot carry."""
    if isinstance(value, type):
        return 'pass its name'
    for base in type(value).__mro__:
        named = _ADVICE_BY_NAME.get(_full_name(base))
        if named is not None:
            return named
    if hasattr(value, '__dataclass_fields__'):
        return 'pass `dataclasses.asdict(...)`'
    if callable(getattr(value, 'read', None)):
        return 'pass its content (`.read()`), or its path'
    return next((text for known, text in _ADVICE_BY_CLASS if isinstance(value, known)), _GENERAL_ADVICE)


def _full_name(kind: type) -> str:
    if kind.__module__ == 'builtins':
        return kind.__qualname__
    return f'{kind.__module__}.{kind.__qualname__}'
