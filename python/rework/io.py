"""Declare the inputs and outputs of an operation, and convert their values.

`inputs=(file("f", required=True), number("n"))` declares two inputs. `pack` validates the values that a program gives
and turns them into JSON. `unpack` turns the JSON back into values when an operation or a program reads it.
The command line reports the same errors with the same messages (`crates/core/src/values/io_specs.rs`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from rework import values
from rework.describe import type_with_article
from rework.io_schema import from_json, schema, specs_of
from rework.io_types import (
    Io,
    Specs,
    boolean,
    datetime,
    file,
    moment,
    number,
    string,
)

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
    """Return the declaration `specs`, after checking that it is a tuple of inputs or outputs with different names.

    `what` is the name of the argument, for error messages.

    Raise TypeError if it is not such a tuple. Raise ValueError if two of them have the same name.
    """
    if not isinstance(specs, tuple):
        raise TypeError(f"`{what}` must be a tuple, such as `(number('n'),)`, not {type_with_article(specs)}")
    names: set[str] = set()
    for index, spec in enumerate(specs):
        if isinstance(spec, type) and issubclass(spec, Io):
            raise TypeError(f"`{what}[{index}]` has no name: write `{spec.__name__}('…')`")
        if not isinstance(spec, Io):
            raise TypeError(
                f'`{what}[{index}]` is {type_with_article(spec)}, '
                'not one of string, number, boolean, datetime, moment, file'
            )
        if spec.name in names:
            raise ValueError(f'`{what}` has two that are named `{spec.name}`')
        names.add(spec.name)
    return specs


def pack(specs: Specs, values: Mapping[str, object] | None) -> dict[str, object]:
    """Return the JSON object to store for the given values, by their names.

    Defaults are filled in. A value of None counts as not given. A value that is not given and has no default is left
    out.

    Raise ValueError or TypeError for the first error. Declared values are checked first, in their order, then
    unknown names.
    """
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        names = ', '.join(spec.name for spec in specs) or 'nothing'
        raise TypeError(f'the inputs are {type_with_article(values)}: pass a dict of {names}')
    packed = {}
    for spec in specs:
        value = values.get(spec.name)
        if value is None:
            value = spec.default
        if value is None:
            if spec.required:
                raise ValueError(f'missing required input: `{spec.name}`')
            continue
        if not spec.is_among_choices(value):
            raise ValueError(f'{spec.name} -> value not in {list(spec.choices or ())}')
        packed[spec.name] = spec.store(spec.validate(value))
    declared = {spec.name for spec in specs}
    unknown = {str(name) for name in values if name not in declared}
    if unknown:
        raise ValueError(f'unknown inputs: {",".join(sorted(unknown))}')
    return packed


def unpack(specs: Specs, stored: Mapping[str, object], now: dt.datetime | None = None) -> dict[str, Any]:
    """Return the values of a stored JSON object, which a client of any language may have written.

    Defaults are filled in, and moments are evaluated at the time `now`, by default the present time. Names that are
    not declared stay as they are.

    Raise ValueError if a stored value is not of its declared type.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f'what is stored is {type_with_article(stored)}, not a dict of named values')
    if now is None:
        now = dt.datetime.now()
    values = dict(stored)
    for spec in specs:
        value = values.pop(spec.name, None)
        try:
            loaded = spec.default if value is None else spec.load(value)
            if loaded is not None:
                values[spec.name] = spec.read(loaded, now)
        except (TypeError, ValueError) as error:
            raise ValueError(f'`{spec.name}` cannot be read as it is stored: {error}') from error
    return values


def encode(specs: Specs | None, value: Any, what: str) -> str:
    """Return the JSON text in which a value is stored.

    With a declaration the value is a dict, and is packed. Without one (None) it is anything that JSON can carry.
    `what` names the value in error messages.

    Raise TypeError or ValueError as `pack` and `rework.values.dumps` do.
    """
    if specs is None:
        return values.dumps(value, what)
    return json.dumps(pack(specs, value), ensure_ascii=False, separators=(',', ':'))


def decode(specs: Specs | None, text: str | bytes) -> Any:
    """Return the value that is stored in a JSON text. Moments are evaluated at the present time.

    Raise ValueError if the text is not JSON, or does not satisfy the declaration.
    """
    value = values.loads(text)
    return unpack(specs, value) if specs is not None and isinstance(value, dict) else value


def convert_io(specs: Specs, args: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the values to schedule with, from the texts that a person typed into a form.

    Names that are not declared are left out. So are blank fields, except those of texts and files. Required values
    may be missing: `pack` reports them later.

    Raise ValueError if a text is not of its declared type. Raise TypeError if an argument is not a text.
    """
    values = {}
    for spec in specs:
        text = args.get(spec.name)
        if text is None:
            continue
        if not isinstance(text, str):
            raise TypeError(f'`{spec.name}` is {type_with_article(text)}, not text')
        if not text.strip() and not isinstance(spec, (string, file)):
            continue
        try:
            values[spec.name] = spec.from_text(text)
        except ValueError as error:
            raise ValueError(f'`{spec.name}`: {error}') from None
    return values
