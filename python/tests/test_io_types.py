"""The types of inputs and outputs: their arguments, and their JSON form."""

import json

import pytest

from rework.io import (
    boolean,
    check_specs,
    datetime,
    file,
    from_json,
    moment,
    number,
    string,
)

RICH = (
    string('s', choices=('a', 'b')),
    file('icon', choices=(b'\xff', b'x'), default=b'x'),
    datetime('since', default='1973-5-20', choices=['1973-5-20', '1974-5-20']),
    boolean('loud', default=0),
    moment('until', default='(today)'),
    number('size', True, [1, 2.5], 2.5),
)


def test_to_json_describes_a_declaration():
    assert datetime('since', default='1973-5-20').to_json() == {
        'name': 'since',
        'type': 'datetime',
        'required': False,
        'choices': None,
        'default': '1973-05-20T00:00:00',
    }
    assert file('f', True, (b'x',), b'x').to_json() == {
        'name': 'f',
        'type': 'file',
        'required': True,
        'choices': ['eA=='],
        'default': 'eA==',
    }


@pytest.mark.parametrize('spec', RICH, ids=repr)
def test_a_declaration_is_read_back_from_its_json_and_repr(spec):
    back = from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert hash(back) == hash(spec)
    assert type(back.default) is type(spec.default)
    names = {'datetime': datetime, 'string': string, 'number': number}
    names.update(boolean=boolean, file=file, moment=moment)
    if spec.type != 'datetime':
        assert eval(repr(spec), names) == spec


def test_declarations_compare_by_their_arguments():
    assert repr(string('s', choices=['a', 'b'])) == "string('s', choices=('a', 'b'))"
    assert repr(number('n', required=True, default=1)) == "number('n', required=True, default=1)"
    assert number('n') != string('n')
    assert number('n') != number('m')
    assert number('n') != 'n'


@pytest.mark.parametrize(
    ('stored', 'message'),
    [
        ({'name': 'x', 'type': 'complex'}, "'complex' is not a type of an input or output"),
        ({'name': 'x'}, 'None is not a type'),
        ({'type': 'number'}, 'does not describe a number: the name of a number must be a text'),
        ({'name': 'x', 'type': 'number', 'default': '3'}, "value `'3'` is not a number"),
        ({'name': 'x', 'type': 'string', 'choices': 'ab'}, 'must be a tuple or a list, not a str'),
        ({'name': 'x', 'type': 'string', 'required': 1}, 'must be True or False, not 1'),
    ],
)
def test_from_json_refuses_what_to_json_did_not_write(stored, message):
    with pytest.raises(ValueError) as caught:
        from_json(stored)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ('make', 'error', 'message'),
    [
        (lambda: number(''), TypeError, "the name of a number must be a text, not ''"),
        (lambda: number(3), TypeError, 'the name of a number must be a text, not 3'),
        (lambda: number('n', 'yes'), TypeError, '`required` of `n` must be True or False'),
        (lambda: number('n', default='3'), TypeError, "`default` of `n`: value `'3'` is not a nu"),
        (lambda: datetime('d', default='lol'), TypeError, "`default` of `d`: value `'lol'`"),
        (lambda: moment('m', default='lol'), ValueError, "`default` of `m`: value `'lol'`"),
        (lambda: string('s', choices=('a', 3)), TypeError, '`choices` of `s`: value `3`'),
        (lambda: string('s', choices='ab'), TypeError, 'the choices of `s` must be a tuple'),
        (
            lambda: string('s', choices=('a',), default='z'),
            ValueError,
            "the default of `s` is not one of its choices: 'z'",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ('specs', 'error', 'message'),
    [
        (
            [number('n')],
            TypeError,
            "`inputs` must be a tuple, such as `(number('n'),)`, not a list",
        ),
        (number('n'), TypeError, '`inputs` must be a tuple'),
        ((number('n'), 'x'), TypeError, '`inputs[1]` is a str, not one of string, number'),
        ((number,), TypeError, "`inputs[0]` has no name: write `number('…')`"),
        ((number('n'), string('n')), ValueError, '`inputs` has two that are named `n`'),
    ],
)
def test_check_specs_refuses_what_is_not_a_declaration(specs, error, message):
    with pytest.raises(error) as caught:
        check_specs(specs, 'inputs')
    assert str(caught.value).startswith(message)


def test_check_specs_returns_a_declaration():
    assert check_specs((), 'inputs') == ()
    assert check_specs(RICH, 'outputs') is RICH
