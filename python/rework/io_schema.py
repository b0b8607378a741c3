"""The JSON Schema of the inputs or outputs that `rework.io` declares, and the declaration that such a schema came from.

Workers and clients of all languages check values against the schema. JSON Schema cannot express everything that the
declaration says, so the schema also contains the declaration itself, under the key `x-rework-io`. The module
`crates/core/src/values/io_specs.rs` writes the same schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rework.describe import short_repr, type_with_article
from rework.io_types import Io, Specs, boolean, datetime, file, moment, number, string

SPECS_KEY, TYPE_KEY = 'x-rework-io', 'x-rework-type'

#: The types of inputs and outputs by their names.
TYPES: dict[str, type[Io]] = {kind.__name__: kind for kind in (string, number, boolean, datetime, moment, file)}

#: The types whose name is also the name of a type of JSON Schema.
_JSON_SCHEMA_TYPES = {'string', 'number', 'boolean'}

#: The schema of each other type.
_SCHEMA_BY_TYPE: dict[str, dict[str, object]] = {
    'datetime': {'type': 'string', 'format': 'date-time'},
    'moment': {
        'type': 'string',
        'description': 'a moment expression, such as (shifted (today) #:days -1)',
    },
    'file': {'type': 'string', 'contentEncoding': 'base64'},
}


def schema(specs: Specs) -> dict[str, object]:
    """Return the JSON Schema (2020-12) of what `rework.io.pack` stores."""
    return {
        'type': 'object',
        'properties': {spec.name: _property(spec) for spec in specs},
        # An input with a default may be missing: the default is filled in when the input is read.
        'required': [spec.name for spec in specs if spec.required and spec.default is None],
        'additionalProperties': False,
        SPECS_KEY: [spec.to_json() for spec in specs],
    }


def specs_of(declared: Mapping[str, object] | None) -> Specs | None:
    """Return the declaration from which a JSON Schema was made, or None if it was not made from one.

    Raise ValueError if the declaration in the schema cannot be read.
    """
    if not isinstance(declared, Mapping) or SPECS_KEY not in declared:
        return None
    stored = declared[SPECS_KEY]
    if not isinstance(stored, list) or not all(isinstance(one, Mapping) for one in stored):
        raise ValueError(f'`{SPECS_KEY}` of a schema is {type_with_article(stored)}, not a list of objects')
    return tuple(from_json(one) for one in stored)


def from_json(stored: Mapping[str, object]) -> Io:
    """Return the input or output that `to_json` described.

    Raise ValueError if the dict does not describe one.
    """
    kind = TYPES.get(str(stored.get('type')))
    if kind is None:
        raise ValueError(
            f'{short_repr(stored.get("type"))} is not a type of an input or output: there are {", ".join(TYPES)}'
        )
    # `load` depends on the type only. So this object, whose name is never used, can load choices and default.
    plain = kind('stored')
    choices, default = stored.get('choices'), stored.get('default')
    try:
        if isinstance(choices, (list, tuple)):
            choices = [plain.load(choice) for choice in choices]
        if default is not None:
            default = plain.load(default)
        # The constructor refuses arguments of wrong types.
        return kind(
            cast(str, stored.get('name')),
            cast(bool, stored.get('required', False)),
            cast('Sequence[Any] | None', choices),
            default,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f'{short_repr(dict(stored))} does not describe a {kind.__name__}: {error}') from error


def _property(spec: Io) -> dict[str, object]:
    if spec.type in _JSON_SCHEMA_TYPES:
        declared: dict[str, object] = {'type': spec.type}
    else:
        declared = {**_SCHEMA_BY_TYPE[spec.type], TYPE_KEY: spec.type}
    stored = spec.to_json()
    if stored['choices'] is not None:
        declared['enum'] = stored['choices']
    if stored['default'] is not None:
        declared['default'] = stored['default']
    return declared
