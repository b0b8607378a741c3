"""Inputs and outputs as a JSON Schema, by which workers and clients in any language check them.

JSON Schema says less than the specs do, so that these ride along, and can be had back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from rework.io_types import Io, Specs, from_json
from rework.telling import kind_of

SPECS_KEY, TYPE_KEY = 'x-rework-io', 'x-rework-type'

_PLAIN = {'string', 'number', 'boolean'}
_SPECIAL: dict[str, dict[str, object]] = {
    'datetime': {'type': 'string', 'format': 'date-time'},
    'moment': {
        'type': 'string',
        'description': 'a moment expression, such as (shifted (today) #:days -1)',
    },
    'file': {'type': 'string', 'contentEncoding': 'base64'},
}


def schema(specs: Specs) -> dict[str, object]:
    """The JSON Schema (2020-12) of what `pack` stores."""
    return {
        'type': 'object',
        'properties': {spec.name: _property(spec) for spec in specs},
        # One with a default may be left out: it is filled in when it is read.
        'required': [spec.name for spec in specs if spec.required and spec.default is None],
        'additionalProperties': False,
        SPECS_KEY: [spec.to_json() for spec in specs],
    }


def specs_of(declared: Optional[Mapping[str, object]]) -> Optional[Specs]:
    """The specs that a schema was made of; None if it was made of none.

    Raises ValueError if they cannot be read.
    """
    if not isinstance(declared, Mapping) or SPECS_KEY not in declared:
        return None
    stored = declared[SPECS_KEY]
    if not isinstance(stored, list) or not all(isinstance(one, Mapping) for one in stored):
        raise ValueError(f'`{SPECS_KEY}` of a schema is {kind_of(stored)}, not a list of objects')
    return tuple(from_json(one) for one in stored)


def _property(spec: Io) -> dict[str, object]:
    if spec.type in _PLAIN:
        declared: dict[str, object] = {'type': spec.type}
    else:
        declared = {**_SPECIAL[spec.type], TYPE_KEY: spec.type}
    stored = spec.to_json()
    if stored['choices'] is not None:
        declared['enum'] = stored['choices']
    if stored['default'] is not None:
        declared['default'] = stored['default']
    return declared
