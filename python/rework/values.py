"""How a Python value travels as JSON: what JSON has as itself, bytes and times as an object with
one key that tells them. A tuple becomes a list, an enum that is text or a number just that; an
aware datetime keeps its offset, not the name of its zone. Anything else that would not come
back as it went is refused, with the place it is at.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from typing import Callable, NoReturn, Union

from rework.dates import iso, parse
from rework.telling import advice, kind_of, shown

#: The keys of the objects that stand for what JSON lacks.
BYTES, DATETIME, DATE = '$bytes', '$datetime', '$date'

#: Lists and dicts within each other. Workers read JSON with a reader that stops at 128.
MAX_DEPTH = 100

#: About 4200 digits: Python itself writes and reads no whole number beyond 4300.
MAX_INT_BITS = 14_000


def dumps(value: object, what: str = 'input') -> str:
    """Compact JSON text; `what` names the value in errors: `` `input['when'][2]` is … ``.

    Raises TypeError, with what to pass instead, for what JSON cannot carry.
    """
    return _ENCODER.encode(_Carrier(what).carry(value))


def loads(text: Union[str, bytes]) -> object:
    """The value that `dumps` made this text of; any other JSON as Python's own.

    Raises ValueError for what is not JSON, or stands for bytes or a time but is none.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode('utf-8')
        except UnicodeDecodeError as error:
            raise ValueError(f'this is not JSON: byte {error.start} is not UTF-8') from None
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f'this is not JSON: {error.msg} at line {error.lineno}, column {error.colno} '
            f'of {shown(text)}'
        ) from None
    except RecursionError:
        raise ValueError('this JSON is nested too deeply to be read') from None


def from_base64(text: str) -> bytes:
    """The bytes of a base64 text; blanks and line ends in it do not count.

    Raises ValueError if it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        try:
            return base64.b64decode(''.join(text.split()), validate=True)
        except ValueError:
            raise ValueError(f'{shown(text)} is not base64') from None


def to_base64(data: bytes) -> str:
    """The base64 text of bytes, on one line."""
    return base64.b64encode(data).decode('ascii')


class _Carrier:
    """One walk through a value, knowing where it is."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.path: list[object] = []
        self.open: set[int] = set()

    def carry(self, value: object) -> object:
        """The value in terms of what JSON has."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            self._check_text(value)
            return value
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                self._refuse('is a whole number of more than 4200 digits', 'pass `hex(...)`')
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                self._refuse(f'is {float(value)}, which JSON cannot carry', 'pass None')
            return value
        if isinstance(value, (list, tuple, dict)):
            return self._carry_container(value)
        if isinstance(value, bytes):
            return {BYTES: to_base64(value)}
        if isinstance(value, datetime.datetime):
            return {DATETIME: self._moment(value)}
        if isinstance(value, datetime.date):
            return {DATE: value.isoformat()}
        self._refuse(f'is {kind_of(value)}, which JSON cannot carry', advice(value))

    def _carry_container(
        self, value: Union[list[object], tuple[object, ...], dict[object, object]]
    ) -> object:
        if id(value) in self.open:
            self._refuse(
                f'is {kind_of(value)} that contains itself, which JSON cannot carry',
                'pass the parts that are needed',
            )
        if len(self.open) >= MAX_DEPTH:
            self._refuse(
                f'is nested more than {MAX_DEPTH} deep, which JSON readers refuse',
                'pass a flatter value, or bytes',
            )
        self.open.add(id(value))
        carried: object
        if isinstance(value, dict):
            carried = self._carry_dict(value)
        else:
            carried = [self._carry_at(index, item) for index, item in enumerate(value)]
        self.open.remove(id(value))
        return carried

    def _carry_dict(self, value: dict[object, object]) -> dict[str, object]:
        if len(value) == 1:
            (key,) = value
            if isinstance(key, str) and key in _RESTORED:
                self._refuse(
                    f"is a dict whose only key is '{key}', and would be read back as something "
                    'else',
                    'give it another key',
                )
        carried: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                self._refuse(
                    f'has the key {shown(key)}, {kind_of(key)}, and JSON has keys of text only',
                    'pass a list of pairs, or `str(...)` as the key',
                )
            self._check_text(key, 'has a key that')
            carried[key] = self._carry_at(key, item)
        return carried

    def _carry_at(self, place: object, item: object) -> object:
        self.path.append(place)
        carried = self.carry(item)
        # A refusal ends the walk, and its place with it.
        self.path.pop()
        return carried

    def _moment(self, value: datetime.datetime) -> str:
        try:
            return iso(value)
        except ValueError:
            self._refuse(
                f'is {shown(value)}, {kind_of(value)} that is no datetime to the microsecond',
                advice(value),
            )

    def _check_text(self, text: str, said: str = 'is text that') -> None:
        if text.isascii():
            return
        try:
            text.encode('utf-8')
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            self._refuse(
                f'{said} UTF-8 cannot encode (U+{code:04X} at character {error.start + 1})',
                'pass bytes, or text without it',
            )

    def _refuse(self, fault: str, remedy: str) -> NoReturn:
        where = self.what + ''.join(f'[{shown(place)}]' for place in self.path)
        raise TypeError(f'`{where}` {fault}: {remedy}')


_RESTORED: dict[str, Callable[[str], object]] = {
    BYTES: from_base64,
    DATETIME: parse,
    DATE: datetime.date.fromisoformat,
}


def _restore(found: dict[str, object]) -> object:
    if len(found) != 1:
        return found
    ((key, text),) = found.items()
    restored = _RESTORED.get(key)
    if restored is None:
        return found
    if not isinstance(text, str):
        raise ValueError(f'`{key}` goes with text, not with {shown(text)}')
    try:
        return restored(text)
    except ValueError as error:
        raise ValueError(f'`{key}` goes with other text: {error}') from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f'this is not JSON: it has no {name}')


# Made once: making them costs as much as a small value.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(',', ':'))
_DECODER = json.JSONDecoder(object_hook=_restore, parse_constant=_no_constant)
