"""Inputs and outputs as declared: their arguments, their JSON form, as a tuple."""

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


def test_json_form():
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
def test_json_form_and_repr_come_back(spec):
    back = from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert hash(back) == hash(spec)
    assert type(back.default) is type(spec.default)
    names = {'datetime': datetime, 'string': string, 'number': number}
    names.update(boolean=boolean, file=file, moment=moment)
    if spec.type != 'datetime':
        assert eval(repr(spec), names) == spec


def test_repr_and_equality():
    assert repr(string('s', choices=['a', 'b'])) == "string('s', choices=('a', 'b'))"
    assert repr(number('n', required=True, default=1)) == "number('n', required=True, default=1)"
    assert number('n') != string('n')
    assert number('n') != number('m')
    assert number('n') != 'n'


@pytest.mark.parametrize(
    ('stored', 'said'),
    [
        ({'name': 'x', 'type': 'complex'}, "'complex' is no type of an input or output"),
        ({'name': 'x'}, 'None is no type'),
        ({'type': 'number'}, 'is no stored number: the name of a number must be a text'),
        ({'name': 'x', 'type': 'number', 'default': '3'}, "value `'3'` is not a number"),
        ({'name': 'x', 'type': 'string', 'choices': 'ab'}, 'must be a tuple or a list, not a str'),
        ({'name': 'x', 'type': 'string', 'required': 1}, 'must be True or False, not 1'),
    ],
)
def test_json_form_is_checked(stored, said):
    with pytest.raises(ValueError) as caught:
        from_json(stored)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ('make', 'error', 'said'),
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
def test_arguments_are_checked(make, error, said):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ('specs', 'error', 'said'),
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
def test_specs_are_checked(specs, error, said):
    with pytest.raises(error) as caught:
        check_specs(specs, 'inputs')
    assert str(caught.value).startswith(said)


def test_good_specs_pass():
    assert check_specs((), 'inputs') == ()
    assert check_specs(RICH, 'outputs') is RICH
