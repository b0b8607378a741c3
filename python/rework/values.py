"""Encode Python values as JSON text, and decode them.

JSON has no bytes and no dates. They are written as an object with one key that names the type, such as
`{"$bytes": "aGk="}`. A tuple becomes a list. An enum that is a text or a number becomes that text or number. A
datetime with a zone keeps its offset, not the name of its zone. Any other value that would not be read back as it
was is refused, and the error names its position.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from typing import Callable, NoReturn

from rework.dates import iso, parse
from rework.describe import advice, short_repr, type_with_article

#: The keys of the objects that stand for types that JSON does not have.
BYTES, DATETIME, DATE = '$bytes', '$datetime', '$date'

#: The number of lists and dicts that may contain each other. The JSON reader of workers stops at 128.
MAX_DEPTH = 100

#: The largest integer, in bits: about 4200 digits. Python itself neither writes nor reads more than 4300 digits.
MAX_INT_BITS = 14_000


def dumps(value: object, what: str = 'input') -> str:
    """Return a value as compact JSON text.

    `what` names the value in error messages: `` `input['when'][2]` is … ``.

    Raise TypeError if JSON cannot carry the value. The message says what to pass instead.
    """
    return _ENCODER.encode(_Carrier(what).carry(value))


def loads(text: str | bytes) -> object:
    """Return the value that `dumps` encoded in this text. Decode any other JSON as the module `json` does.

    Raise ValueError if the text is not JSON, if it has a number that is too large for a float, or if an object that
    stands for bytes or a date contains neither.
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
            f'this is not JSON: {error.msg} at line {error.lineno}, column {error.colno} of {short_repr(text)}'
        ) from None
    except RecursionError:
        raise ValueError('this JSON is nested too deeply to be read') from None


def from_base64(text: str) -> bytes:
    """Return the bytes of a base64 text. Blanks and line ends in the text are ignored.

    Raise ValueError if the text is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        try:
            return base64.b64decode(''.join(text.split()), validate=True)
        except ValueError:
            raise ValueError(f'{short_repr(text)} is not base64') from None


def to_base64(data: bytes) -> str:
    """Return bytes as base64 text on one line."""
    return base64.b64encode(data).decode('ascii')


class _Carrier:
    """Walks through one value and replaces what JSON does not have. Knows its position, for error messages."""

    def __init__(self, what: str) -> None:
        self.what = what
        #: The keys and indexes that lead from the value to the part that is being encoded.
        self.path: list[object] = []
        #: The ids of the lists and dicts around that part, by which a cycle is recognised.
        self.enclosing: set[int] = set()

    def carry(self, value: object) -> object:
        """Return the value in types that JSON has."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            self._check_text(value)
            return value
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise self._refusal('is a whole number of more than 4200 digits', 'pass `hex(...)`')
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self._refusal(f'is {float(value)}, which JSON cannot carry', 'pass None')
            return value
        if isinstance(value, (list, tuple, dict)):
            return self._carry_container(value)
        if isinstance(value, bytes):
            return {BYTES: to_base64(value)}
        # A datetime is also a date, so it is tested first.
        if isinstance(value, datetime.datetime):
            return {DATETIME: self._moment(value)}
        if isinstance(value, datetime.date):
            return {DATE: value.isoformat()}
        raise self._refusal(f'is {type_with_article(value)}, which JSON cannot carry', advice(value))

    def _carry_container(self, value: list[object] | tuple[object, ...] | dict[object, object]) -> object:
        if id(value) in self.enclosing:
            raise self._refusal(
                f'is {type_with_article(value)} that contains itself, which JSON cannot carry',
                'pass the parts that are needed',
            )
        if len(self.enclosing) >= MAX_DEPTH:
            raise self._refusal(
                f'is nested more than {MAX_DEPTH} deep, which JSON readers refuse',
                'pass a flatter value, or bytes',
            )
        self.enclosing.add(id(value))
        carried: object
        if isinstance(value, dict):
            carried = self._carry_dict(value)
        else:
            carried = [self._carry_part(index, item) for index, item in enumerate(value)]
        self.enclosing.remove(id(value))
        return carried

    def _carry_dict(self, value: dict[object, object]) -> dict[str, object]:
        if len(value) == 1:
            (key,) = value
            if isinstance(key, str) and key in _DECODERS:
                raise self._refusal(
                    f"is a dict whose only key is '{key}', and would be read back as something else",
                    'give it another key',
                )
        carried: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise self._refusal(
                    f'has the key {short_repr(key)}, {type_with_article(key)}, and JSON has keys of text only',
                    'pass a list of pairs, or `str(...)` as the key',
                )
            self._check_text(key, 'has a key that')
            carried[key] = self._carry_part(key, item)
        return carried

    def _carry_part(self, key: object, part: object) -> object:
        self.path.append(key)
        carried = self.carry(part)
        # No `finally`: an error ends the whole walk, and its message needs the path.
        self.path.pop()
        return carried

    def _moment(self, value: datetime.datetime) -> str:
        try:
            return iso(value)
        except ValueError as error:
            raise self._refusal(
                f'is {short_repr(value)}, {type_with_article(value)} that a plain datetime cannot represent',
                advice(value),
            ) from error

    def _check_text(self, text: str, subject: str = 'is text that') -> None:
        if text.isascii():
            return
        try:
            text.encode('utf-8')
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            raise self._refusal(
                f'{subject} UTF-8 cannot encode (U+{code:04X} at character {error.start + 1})',
                'pass bytes, or text without it',
            ) from error

    def _refusal(self, problem: str, remedy: str) -> TypeError:
        position = self.what + ''.join(f'[{short_repr(key)}]' for key in self.path)
        return TypeError(f'`{position}` {problem}: {remedy}')


_DECODERS: dict[str, Callable[[str], object]] = {
    BYTES: from_base64,
    DATETIME: parse,
    DATE: datetime.date.fromisoformat,
}


def _decode_object(found: dict[str, object]) -> object:
    """Return the value that an object stands for, or the object itself if it stands for none."""
    if len(found) != 1:
        return found
    ((key, text),) = found.items()
    decode = _DECODERS.get(key)
    if decode is None:
        return found
    if not isinstance(text, str):
        raise ValueError(f'`{key}` needs a text, not {short_repr(text)}')
    try:
        return decode(text)
    except ValueError as error:
        raise ValueError(f'the text of `{key}` is wrong: {error}') from None


def _refuse_constant(name: str) -> NoReturn:
    """Refuse `NaN` and `Infinity`, which the module `json` would read although JSON does not have them."""
    raise ValueError(f'this is not JSON: it has no {name}')


def _parse_float(text: str) -> float:
    """Return the nearest float. The module `json` would read a number that is too large as infinity."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f'this JSON has the number {text[:40]}, which is too large for a float')
    return value


# They are created once: to create them takes as long as to encode a small value.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(',', ':'))
_DECODER = json.JSONDecoder(object_hook=_decode_object, parse_constant=_refuse_constant, parse_float=_parse_float)
