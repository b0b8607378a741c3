"""The JSON Schema of a declaration, and the declaration that is read back from it."""

import datetime as dt
import json

import pytest

from rework.io import (
    boolean,
    datetime,
    file,
    moment,
    number,
    pack,
    schema,
    specs_of,
    string,
)

TYPED = (
    file('f', required=True),
    number('n', default=42),
    string('s', choices=('a', 'b')),
    datetime('d'),
    boolean('b'),
    moment('m'),
)
OUTPUTS = (string('message'), number('k'))
NOW = dt.datetime(2024, 2, 29, 10)
RICH = (
    *TYPED,
    file('icon', choices=(b'\xff', b'x'), default=b'x'),
    datetime('since', default='1973-5-20', choices=['1973-5-20', '1974-5-20']),
    boolean('loud', default=0),
    moment('until', default='(today)'),
    number('size', True, [1, 2.5], 2.5),
)


def test_the_schema_describes_each_declared_input():
    declared = schema(TYPED)
    specs = declared.pop('x-rework-io')
    assert specs == [spec.to_json() for spec in TYPED]
    assert declared == {
        'type': 'object',
        'properties': {
            'f': {'type': 'string', 'contentEncoding': 'base64', 'x-rework-type': 'file'},
            'n': {'type': 'number', 'default': 42},
            's': {'type': 'string', 'enum': ['a', 'b']},
            'd': {'type': 'string', 'format': 'date-time', 'x-rework-type': 'datetime'},
            'b': {'type': 'boolean'},
            'm': {
                'type': 'string',
                'description': 'a moment expression, such as (shifted (today) #:days -1)',
                'x-rework-type': 'moment',
            },
        },
        'required': ['f'],
        'additionalProperties': False,
    }


def test_an_input_with_a_default_is_not_required_by_the_schema():
    declared = schema((number('n', required=True, default=1), file('f', default=b'x')))
    assert declared['required'] == []
    assert declared['properties']['f']['default'] == 'eA=='


def test_the_schema_of_an_empty_declaration_allows_nothing():
    assert schema(()) == {
        'type': 'object',
        'properties': {},
        'required': [],
        'additionalProperties': False,
        'x-rework-io': [],
    }


def test_the_declaration_is_read_back_from_the_schema():
    for specs in (RICH, TYPED, OUTPUTS, ()):
        assert specs_of(json.loads(json.dumps(schema(specs)))) == specs
    assert specs_of(None) is None
    assert specs_of({'type': 'object'}) is None
    for wrong in ({}, None, ['x']):
        with pytest.raises(ValueError, match='`x-rework-io` of a schema'):
            specs_of({'x-rework-io': wrong})


def test_packed_values_are_valid_for_the_schema():
    jsonschema = pytest.importorskip('jsonschema')
    validator = jsonschema.Draft202012Validator(schema(RICH))
    validator.check_schema(schema(RICH))
    for values in ({'f': b'x', 'size': 1}, {'f': b'', 's': 'a', 'd': NOW, 'b': 1, 'm': '(today)'}):
        validator.validate(pack(RICH, values))
    assert not validator.is_valid({'f': 'eA==', 'size': 1, 'q': 1})
    assert not validator.is_valid({'size': 1})
