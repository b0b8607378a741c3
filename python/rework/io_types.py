"""What an input or output of an operation may be: `string`, `number`, `boolean`, `datetime`,
`moment`, `file`.

A value has three forms. It is *given* by who schedules, *held* once it is known to fit, and
*stored* as JSON. The sentences of `hold` are those of the original rework, which programs may
look at; what else there is to say is in the error's cause.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Optional, TypeVar, Union, cast

from rework.dates import iso, parse
from rework.moment import check, evaluate
from rework.telling import kind_of, shown
from rework.values import from_base64, to_base64

Given = TypeVar('Given')


class Io:
    """One named input or output. It is a value: never changed once made.

    An empty `choices` is none. Raises TypeError or ValueError for arguments that do not fit.
    """

    def __init__(
        self,
        name: str,
        required: bool = False,
        choices: Optional[Sequence[Any]] = None,
        default: Any = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f'the name of a {self.type} must be a text, not {shown(name)}')
        if not isinstance(required, bool):
            raise TypeError(f'`required` of `{name}` must be True or False, not {shown(required)}')
        self.name = name
        self.required = required
        self.choices = self._held_choices(choices)
        self.default = None if default is None else self._argument('default', default)
        if self.default is not None and not self.among_choices(self.default):
            raise ValueError(f'the default of `{name}` is not one of its choices: {shown(default)}')

    def _held_choices(self, choices: Optional[Sequence[Any]]) -> Optional[tuple[Any, ...]]:
        if choices is None:
            return None
        if not isinstance(choices, (list, tuple)):
            raise TypeError(
                f'the choices of `{self.name}` must be a tuple or a list, not {kind_of(choices)}'
            )
        return tuple(self._argument('choices', choice) for choice in choices) or None

    def _argument(self, argument: str, value: object) -> Any:
        try:
            return self.hold(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f'`{argument}` of `{self.name}`: {error}') from error.__cause__

    @property
    def type(self) -> str:
        """Its type's name, as it is stored."""
        return type(self).__name__

    def hold(self, value: object) -> Any:
        """The value, if it fits.

        Raises TypeError, for a moment ValueError, if it does not.
        """
        raise NotImplementedError

    def store(self, held: Any) -> object:
        """Its JSON."""
        return held

    def load(self, stored: object) -> Any:
        """What `store` made into JSON. Raises TypeError or ValueError for anything else."""
        return self.hold(stored)

    def read(self, held: Any, now: Optional[dt.datetime] = None) -> object:
        """What the operation gets to see."""
        return held

    def from_text(self, text: str) -> Any:
        """The value that a person typed. Raises ValueError with a sentence."""
        return self.hold(text)

    def among_choices(self, value: object) -> bool:
        """Whether the choices, if there are any, have the value; its type is not looked at."""
        # Other objects may have an equality of their own, which gives no bool.
        plain = (str, bytes, int, float, dt.datetime)
        return self.choices is None or (isinstance(value, plain) and value in self.choices)

    def to_json(self) -> dict[str, object]:
        """Its stored form, for `from_json`."""
        choices = None if self.choices is None else [self.store(held) for held in self.choices]
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
        told = [repr(self.name)]
        if self.required:
            told.append('required=True')
        if self.choices is not None:
            told.append(f'choices={self.choices!r}')
        if self.default is not None:
            told.append(f'default={self.default!r}')
        return f'{self.type}({", ".join(told)})'

    def _key(self) -> tuple[object, ...]:
        return (self.type, self.name, self.required, self.choices, self.default)


class _Of(Io, Generic[Given]):
    """One whose choices and default are given as a type that checkers know."""

    def __init__(
        self,
        name: str,
        required: bool = False,
        choices: Optional[Sequence[Given]] = None,
        default: Optional[Given] = None,
    ) -> None:
        super().__init__(name, required, choices, default)


class string(_Of[str]):
    """A text; the empty one is a value."""

    def hold(self, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f'value `{shown(value)}` is not a string')
        return value


class number(_Of[Union[int, float]]):
    """An int or a float, and stays what it is."""

    def hold(self, value: object) -> Union[int, float]:
        # A bool is an int to Python, and nothing but a slip where a number is wanted.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
            raise TypeError(f'value `{shown(value)}` is not a number')
        if value in (math.inf, -math.inf):
            raise TypeError(f'value `{shown(value)}` is not a number that JSON can carry')
        return value

    def from_text(self, text: str) -> Union[int, float]:
        plain = text.strip()
        if re.fullmatch(r'[+-]?\d{1,4000}', plain, re.A):
            return int(plain)
        if re.fullmatch(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?', plain, re.A | re.I):
            read = float(plain)
            if math.isfinite(read):
                return read
        raise ValueError(f'{shown(text)} is not a number')


class boolean(_Of[Union[bool, int]]):
    """True or False; the ints 1 and 0 stand for them."""

    def hold(self, value: object) -> bool:
        if not isinstance(value, int) or value not in (0, 1):
            raise TypeError(f'value `{shown(value)}` is not a boolean')
        return bool(value)

    def from_text(self, text: str) -> bool:
        plain = text.strip().lower()
        if plain in ('true', 'yes', 'on', '1'):
            return True
        if plain in ('false', 'no', 'off', '0'):
            return False
        raise ValueError(f'{shown(text)} is neither true nor false')


class datetime(_Of[Union[str, dt.datetime]]):
    """A moment in time; a text is parsed (`rework.dates`)."""

    def hold(self, value: object) -> dt.datetime:
        if not isinstance(value, (str, dt.datetime)):
            raise TypeError(f'value `{shown(value)}` is not str/datetime')
        try:
            return parse(value if isinstance(value, str) else iso(value))
        except ValueError as error:
            raise TypeError(f'value `{shown(value)}` is not a valid datetime') from error

    def store(self, held: dt.datetime) -> str:
        return held.isoformat()

    def among_choices(self, value: object) -> bool:
        try:
            # The same moment may be written in many ways.
            return self.choices is None or super().among_choices(self.hold(value))
        except TypeError:
            return False

    def from_text(self, text: str) -> dt.datetime:
        return parse(text)


class moment(_Of[str]):
    """An expression (`rework.moment`) that is evaluated whenever the value is read."""

    def hold(self, value: object) -> str:
        text = cast(str, value)  # `check` refuses what is none
        check(text)
        return text

    def read(self, held: str, now: Optional[dt.datetime] = None) -> dt.datetime:
        return evaluate(held, now)

    def from_text(self, text: str) -> str:
        try:
            return self.hold(text)
        except ValueError as error:
            raise ValueError(f'{shown(text)} is no moment expression: {error.__cause__}') from None


class file(_Of[bytes]):
    """Bytes, which may be none at all."""

    def hold(self, value: object) -> bytes:
        if not isinstance(value, bytes):
            raise TypeError(f'value `{shown(value)}` is not bytes')
        return value

    def store(self, held: bytes) -> str:
        return to_base64(held)

    def load(self, stored: object) -> bytes:
        if not isinstance(stored, str):
            raise TypeError(f'{shown(stored)} is not base64')
        return from_base64(stored)

    def from_text(self, text: str) -> bytes:
        return text.encode('utf-8')


Specs = tuple[Io, ...]

TYPES: dict[str, type[Io]] = {
    kind.__name__: kind for kind in (string, number, boolean, datetime, moment, file)
}


def from_json(stored: Mapping[str, object]) -> Io:
    """The input or output that `to_json` stored.

    Raises ValueError for anything else.
    """
    kind = TYPES.get(str(stored.get('type')))
    if kind is None:
        raise ValueError(
            f'{shown(stored.get("type"))} is no type of an input or output: '
            f'there are {", ".join(TYPES)}'
        )
    # Made only to read what it stored: `load` needs no more than the type.
    plain = kind('stored')
    choices, default = stored.get('choices'), stored.get('default')
    try:
        if isinstance(choices, (list, tuple)):
            choices = [plain.load(choice) for choice in choices]
        if default is not None:
            default = plain.load(default)
        # What is of another type, its constructor refuses.
        return kind(
            cast(str, stored.get('name')),
            cast(bool, stored.get('required', False)),
            cast(Optional[Sequence[Any]], choices),
            default,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f'{shown(dict(stored))} is no stored {kind.__name__}: {error}') from error
