"""The types that an input or output of an operation can have.

They are `string`, `number`, `boolean`, `datetime`, `moment` and `file`. A value of such a type has three forms: as it
is given by the program that schedules a task, as it is after `validate`, and as it is stored in JSON. The messages of
`validate` are those of rework 0.17, because programs may compare them. Further details are in the cause of the error.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, Union, cast

from rework.dates import iso, parse
from rework.describe import short_repr, type_with_article
from rework.moment import check, evaluate
from rework.values import from_base64, to_base64

Given = TypeVar('Given')


class Io:
    """One named input or output of an operation. It is immutable.

    `required` says whether a value must be given. `choices` are the only values that are allowed; an empty list or
    tuple allows all. `default` is the value of an input that is not given.

    Raise TypeError or ValueError if an argument is wrong.
    """

    def __init__(
        self,
        name: str,
        required: bool = False,
        choices: Sequence[Any] | None = None,
        default: Any = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f'the name of a {self.type} must be a text, not {short_repr(name)}')
        if not isinstance(required, bool):
            raise TypeError(f'`required` of `{name}` must be True or False, not {short_repr(required)}')
        self.name = name
        self.required = required
        self.choices = self._validate_choices(choices)
        self.default = None if default is None else self._validate_argument('default', default)
        if self.default is not None and not self.is_among_choices(self.default):
            raise ValueError(f'the default of `{name}` is not one of its choices: {short_repr(default)}')

    def _validate_choices(self, choices: Sequence[Any] | None) -> tuple[Any, ...] | None:
        if choices is None:
            return None
        if not isinstance(choices, (list, tuple)):
            raise TypeError(f'the choices of `{self.name}` must be a tuple or a list, not {type_with_article(choices)}')
        return tuple(self._validate_argument('choices', choice) for choice in choices) or None

    def _validate_argument(self, argument: str, value: object) -> Any:
        try:
            return self.validate(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f'`{argument}` of `{self.name}`: {error}') from error.__cause__

    @property
    def type(self) -> str:
        """Return the name of the type, as it is stored: `number`."""
        return type(self).__name__

    def validate(self, value: object) -> Any:
        """Return a given value in the Python type of this input or output.

        Raise TypeError, or for a moment ValueError, if the value does not have this type.
        """
        raise NotImplementedError

    def store(self, value: Any) -> object:
        """Return a validated value in the form that JSON stores."""
        return value

    def load(self, stored: object) -> Any:
        """Return the validated value that `store` turned into JSON.

        Raise TypeError or ValueError if the stored form is not of this type.
        """
        return self.validate(stored)

    def read(self, value: Any, now: dt.datetime | None = None) -> object:
        """Return what the operation receives for a validated value. `now` is the time for `(today)` in moments."""
        return value

    def from_text(self, text: str) -> Any:
        """Return the validated value of a text that a person typed.

        Raise ValueError if the text is not of this type.
        """
        return self.validate(text)

    def is_among_choices(self, value: object) -> bool:
        """Return whether the choices contain the value, or there are no choices. Does not check the type."""
        # Only plain types are compared: `==` of another class, such as a numpy array, may not return a bool.
        plain = (str, bytes, int, float, dt.datetime)
        return self.choices is None or (isinstance(value, plain) and value in self.choices)

    def to_json(self) -> dict[str, object]:
        """Return this declaration as a dict for JSON. `from_json` reads it."""
        choices = None if self.choices is None else [self.store(choice) for choice in self.choices]
        return {
            'name': self.name,
            'type': self.type,
            'required': self.required,
            'choices': choices,
            'default': None if self.default is None else self.store(self.default),
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Io):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        arguments = [repr(self.name)]
        if self.required:
            arguments.append('required=True')
        if self.choices is not None:
            arguments.append(f'choices={self.choices!r}')
        if self.default is not None:
            arguments.append(f'default={self.default!r}')
        return f'{self.type}({", ".join(arguments)})'

    def _key(self) -> tuple[object, ...]:
        return (self.type, self.name, self.required, self.choices, self.default)


class _TypedIo(Io, Generic[Given]):
    """An input or output whose constructor shows type checkers the type of `choices` and `default`."""

    def __init__(
        self,
        name: str,
        required: bool = False,
        choices: Sequence[Given] | None = None,
        default: Given | None = None,
    ) -> None:
        super().__init__(name, required, choices, default)


class string(_TypedIo[str]):
    """A text. The empty text is a value like any other."""

    def validate(self, value: object) -> str:
        """Return the text. Raise TypeError if the value is not a text."""
        if not isinstance(value, str):
            raise TypeError(f'value `{short_repr(value)}` is not a string')
        return value


class number(_TypedIo[Union[int, float]]):
    """An int or a float. An int stays an int, and a float stays a float."""

    def validate(self, value: object) -> int | float:
        """Return the number. Raise TypeError if the value is not a number, or is NaN or infinite."""
        # Python treats a bool as an int. Where a number is expected it is almost certainly a mistake.
        # `value != value` is true for NaN only.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
            raise TypeError(f'value `{short_repr(value)}` is not a number')
        if value in (math.inf, -math.inf):
            raise TypeError(f'value `{short_repr(value)}` is not a number that JSON can carry')
        return value

    def from_text(self, text: str) -> int | float:
        """Return the number that a person typed. Raise ValueError if the text is not a number."""
        plain = text.strip()
        # Python refuses to convert more than 4300 digits.
        if re.fullmatch(r'[+-]?\d{1,4000}', plain, re.A):
            return int(plain)
        if re.fullmatch(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?', plain, re.A | re.I):
            value = float(plain)
            if math.isfinite(value):
                return value
        raise ValueError(f'{short_repr(text)} is not a number')


class boolean(_TypedIo[Union[bool, int]]):
    """True or False. The ints 1 and 0 are accepted for them."""

    def validate(self, value: object) -> bool:
        """Return True or False. Raise TypeError if the value is none of True, False, 1 and 0."""
        if not isinstance(value, int) or value not in (0, 1):
            raise TypeError(f'value `{short_repr(value)}` is not a boolean')
        return bool(value)

    def from_text(self, text: str) -> bool:
        """Return the truth value that a person typed. Raise ValueError if the text is not a known word for one."""
        plain = text.strip().lower()
        if plain in ('true', 'yes', 'on', '1'):
            return True
        if plain in ('false', 'no', 'off', '0'):
            return False
        raise ValueError(f'{short_repr(text)} is neither true nor false')


class datetime(_TypedIo[Union[str, dt.datetime]]):
    """A moment in time. A text is parsed by `rework.dates`."""

    def validate(self, value: object) -> dt.datetime:
        """Return the datetime. Raise TypeError if the value is neither a datetime nor the text of a date."""
        if not isinstance(value, (str, dt.datetime)):
            raise TypeError(f'value `{short_repr(value)}` is not str/datetime')
        try:
            # A subclass of datetime becomes a plain datetime, or is refused if it holds more than one can.
            return parse(value if isinstance(value, str) else iso(value))
        except ValueError as error:
            raise TypeError(f'value `{short_repr(value)}` is not a valid datetime') from error

    def store(self, value: dt.datetime) -> str:
        """Return the datetime as ISO 8601 text."""
        return value.isoformat()

    def is_among_choices(self, value: object) -> bool:
        """Return whether the choices contain this moment, or there are no choices."""
        try:
            # The same moment may be written differently.
            return self.choices is None or super().is_among_choices(self.validate(value))
        except TypeError:
            return False

    def from_text(self, text: str) -> dt.datetime:
        """Return the datetime that a person typed. Raise ValueError if the text is not a date."""
        return parse(text)


class moment(_TypedIo[str]):
    """An expression for a date (`rework.moment`). It is evaluated each time that the value is read."""

    def validate(self, value: object) -> str:
        """Return the expression. Raise ValueError if it is wrong, and TypeError if the value is not a text."""
        text = cast(str, value)  # `check` raises TypeError if it is not a text
        check(text)
        return text

    def read(self, value: str, now: dt.datetime | None = None) -> dt.datetime:
        """Return the datetime that the expression gives at the time `now`, by default the present time."""
        return evaluate(value, now)

    def from_text(self, text: str) -> str:
        """Return the expression that a person typed. Raise ValueError, with the position, if it is wrong."""
        try:
            return self.validate(text)
        except ValueError as error:
            raise ValueError(f'{short_repr(text)} is not a moment expression: {error.__cause__}') from None


class file(_TypedIo[bytes]):
    """The content of a file: bytes, which may be empty. JSON stores them as base64."""

    def validate(self, value: object) -> bytes:
        """Return the bytes. Raise TypeError if the value is not bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f'value `{short_repr(value)}` is not bytes')
        return value

    def store(self, value: bytes) -> str:
        """Return the bytes as base64 text."""
        return to_base64(value)

    def load(self, stored: object) -> bytes:
        """Return the bytes of base64 text. Raise TypeError if it is not a text, ValueError if it is not base64."""
        if not isinstance(stored, str):
            raise TypeError(f'{short_repr(stored)} is not base64')
        return from_base64(stored)

    def from_text(self, text: str) -> bytes:
        """Return the text that a person typed as UTF-8."""
        return text.encode('utf-8')


Specs = tuple[Io, ...]
