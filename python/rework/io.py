"""Typed inputs and outputs of an operation, `inputs=(file("f", required=True), number("n"))`, and
the way of their values: packed into JSON when they are given, unpacked when they are read.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Optional, Union

from rework import values
from rework.io_schema import schema, specs_of
from rework.io_types import (
    Io,
    Specs,
    boolean,
    datetime,
    file,
    from_json,
    moment,
    number,
    string,
)
from rework.telling import kind_of

__all__ = [
    'Io',
    'Specs',
    'boolean',
    'check_specs',
    'convert_io',
    'datetime',
    'decode',
    'encode',
    'file',
    'from_json',
    'moment',
    'number',
    'pack',
    'schema',
    'specs_of',
    'string',
    'unpack',
]


def check_specs(specs: object, what: str) -> Specs:
    """The specs, if they are a tuple of inputs or outputs, each with a name of its own; `what` is
    the argument's name.

    Raises TypeError or ValueError if they are not.
    """
    if not isinstance(specs, tuple):
        raise TypeError(f"`{what}` must be a tuple, such as `(number('n'),)`, not {kind_of(specs)}")
    names: set[str] = set()
    for index, spec in enumerate(specs):
        if isinstance(spec, type) and issubclass(spec, Io):
            raise TypeError(f"`{what}[{index}]` has no name: write `{spec.__name__}('…')`")
        if not isinstance(spec, Io):
            raise TypeError(
                f'`{what}[{index}]` is {kind_of(spec)}, '
                'not one of string, number, boolean, datetime, moment, file'
            )
        if spec.name in names:
            raise ValueError(f'`{what}` has two that are named `{spec.name}`')
        names.add(spec.name)
    return specs


def pack(specs: Specs, values: Optional[Mapping[str, object]]) -> dict[str, object]:
    """The JSON to store for values: checked, defaults filled in, what has none left out. None is
    a value that is not given.

    Raises ValueError or TypeError with the first fault: those of each field in turn, then the
    unknown ones.
    """
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        named = ', '.join(spec.name for spec in specs) or 'nothing'
        raise TypeError(f'the inputs are {kind_of(values)}: pass a dict of {named}')
    packed = {}
    for spec in specs:
        value = values.get(spec.name)
        if value is None:
            value = spec.default
        if value is None:
            if spec.required:
                raise ValueError(f'missing required input: `{spec.name}`')
            continue
        if not spec.among_choices(value):
            raise ValueError(f'{spec.name} -> value not in {list(spec.choices or ())}')
        packed[spec.name] = spec.store(spec.hold(value))
    names = {spec.name for spec in specs}
    unknown = {str(name) for name in values if name not in names}
    if unknown:
        raise ValueError(f'unknown inputs: {",".join(sorted(unknown))}')
    return packed


def unpack(
    specs: Specs, stored: Mapping[str, object], now: Optional[dt.datetime] = None
) -> dict[str, Any]:
    """The typed values of a stored JSON, whoever stored it: defaults are filled in again, moments
    evaluated. Names that the specs do not know stay as they are.

    Raises ValueError for what does not fit.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f'what is stored is {kind_of(stored)}, not a dict of named values')
    if now is None:
        now = dt.datetime.now()
    values = dict(stored)
    for spec in specs:
        value = values.pop(spec.name, None)
        try:
            held = spec.default if value is None else spec.load(value)
            if held is not None:
                values[spec.name] = spec.read(held, now)
        except (TypeError, ValueError) as error:
            raise ValueError(f'`{spec.name}` cannot be read as it is stored: {error}') from error
    return values


def encode(specs: Optional[Specs], value: Any, what: str) -> str:
    """The text as which a value is kept: packed where there is a declaration, else whatever JSON carries.

    `what` names it in errors. Raises TypeError or ValueError, as `pack` and `values.dumps` do.
    """
    if specs is None:
        return values.dumps(value, what)
    return json.dumps(pack(specs, value), ensure_ascii=False, separators=(',', ':'))


def decode(specs: Optional[Specs], text: Union[str, bytes]) -> Any:
    """The value of such a text, moments evaluated now. Raises ValueError."""
    value = values.loads(text)
    return unpack(specs, value) if specs is not None and isinstance(value, dict) else value


def convert_io(specs: Specs, args: Mapping[str, Optional[str]]) -> dict[str, Any]:
    """The values to schedule with, from what people typed into a form. Names that the specs do
    not know are left out, and so are fields left blank, but for texts and files.

    Raises ValueError with a sentence. Whether all that is required is there, `pack` tells.
    """
    values = {}
    for spec in specs:
        text = args.get(spec.name)
        if text is None:
            continue
        if not isinstance(text, str):
            raise TypeError(f'`{spec.name}` is {kind_of(text)}, not text')
        if not text.strip() and not isinstance(spec, (string, file)):
            continue
        try:
            values[spec.name] = spec.from_text(text)
        except ValueError as error:
            raise ValueError(f'`{spec.name}`: {error}') from None
    return values
