"""Packing and unpacking declared inputs and outputs."""

import datetime as dt

import pytest

from rework.io import (
    boolean,
    convert_io,
    datetime,
    file,
    moment,
    number,
    pack,
    string,
    unpack,
)
from rework.values import dumps, loads

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


def packed_and_unpacked(specs, values):
    """Return the values as they are read back from JSON."""
    return unpack(specs, loads(dumps(pack(specs, values))), NOW)


@pytest.mark.parametrize(
    ('values', 'error', 'message'),
    [
        ({}, ValueError, 'missing required input: `f`'),
        (None, ValueError, 'missing required input: `f`'),
        ({'f': None}, ValueError, 'missing required input: `f`'),
        ({'q': 1}, ValueError, 'missing required input: `f`'),
        ({'f': b'x', 's': 'z'}, ValueError, "s -> value not in ['a', 'b']"),
        ({'f': b'x', 's': ''}, ValueError, "s -> value not in ['a', 'b']"),
        ({'f': b'x', 's': 3}, ValueError, "s -> value not in ['a', 'b']"),
        ({'f': b'x', 'z': 1, 'q': 2}, ValueError, 'unknown inputs: q,z'),
        ({'f': b'x', 3: 1}, ValueError, 'unknown inputs: 3'),
        ({'f': b'x', 'n': '3'}, TypeError, "value `'3'` is not a number"),
        ({'f': b'x', 'n': '3', 'q': 1}, TypeError, "value `'3'` is not a number"),
        ({'f': b'x', 'n': True}, TypeError, 'value `True` is not a number'),
        ({'f': b'x', 'n': float('nan')}, TypeError, 'value `nan` is not a number'),
        ({'f': b'x', 'n': 1j}, TypeError, 'value `1j` is not a number'),
        ({'f': b'x', 'b': 2}, TypeError, 'value `2` is not a boolean'),
        ({'f': b'x', 'b': 'true'}, TypeError, "value `'true'` is not a boolean"),
        ({'f': b'x', 'b': 1.0}, TypeError, 'value `1.0` is not a boolean'),
        ({'f': 'text'}, TypeError, "value `'text'` is not bytes"),
        ({'f': bytearray()}, TypeError, "value `bytearray(b'')` is not bytes"),
        ({'f': b'x', 'd': 'lol'}, TypeError, "value `'lol'` is not a valid datetime"),
        ({'f': b'x', 'd': '5/6/1973'}, TypeError, "value `'5/6/1973'` is not a valid datetime"),
        ({'f': b'x', 'd': 3}, TypeError, 'value `3` is not str/datetime'),
        ({'f': b'x', 'm': 'lol'}, ValueError, "value `'lol'` is not a valid moment expression"),
        ({'f': b'x', 'm': 3}, TypeError, 'value `3` is not a valid moment expression'),
    ],
    ids=str,
)
def test_an_input_that_does_not_satisfy_the_declaration_is_refused(values, error, message):
    """Scenario RW-16."""
    with pytest.raises(error) as caught:
        pack(TYPED, values)
    assert str(caught.value) == message
    assert type(caught.value) is error


def test_a_string_accepts_only_text():
    with pytest.raises(TypeError, match=r'^value `3` is not a string$'):
        pack((string('s'),), {'s': 3})
    assert pack((string('s'),), {'s': ''}) == {'s': ''}


def test_the_cause_of_an_error_says_why():
    with pytest.raises(TypeError) as caught:
        pack((datetime('d'),), {'d': '5/6/1973'})
    assert 'write the year first' in str(caught.value.__cause__)


def test_defaults_are_filled_in_and_values_are_read_back():
    """Scenario RW-17."""
    assert packed_and_unpacked(TYPED, {'f': b'x'}) == {'f': b'x', 'n': 42}
    assert packed_and_unpacked(TYPED, {'f': b'x', 'd': '20 May 1973 09:00'})['d'] == dt.datetime(1973, 5, 20, 9)
    for text, expected in [
        ('(monthend (date "2024-2-3"))', dt.datetime(2024, 2, 29)),
        (
            '(shifted (yearstart (date "2024-2-3 10:00")) #:months -1 #:hours 2)',
            dt.datetime(2023, 12, 1, 12),
        ),
    ]:
        assert packed_and_unpacked(TYPED, {'f': b'x', 'm': text})['m'] == expected
    everything = {'f': b'', 'n': 0.5, 's': 'a', 'd': dt.datetime.min, 'b': False, 'm': '(today)'}
    assert packed_and_unpacked(TYPED, everything) == {**everything, 'm': NOW}


def test_only_declared_outputs_are_packed():
    """Scenario RW-20."""
    with pytest.raises(ValueError, match='^unknown inputs: undeclared$'):
        pack(OUTPUTS, {'message': 'hi', 'undeclared': 1})
    assert packed_and_unpacked(OUTPUTS, {'message': 'hi', 'k': 1}) == {'message': 'hi', 'k': 1}
    assert packed_and_unpacked(OUTPUTS, {}) == {}


def test_pack_returns_the_json_that_is_stored():
    values = {'f': b'\xff', 'n': 1, 's': 'a', 'd': '1973-5-20', 'b': 1, 'm': '(today)'}
    assert pack(TYPED, values) == {
        'f': '/w==',
        'n': 1,
        's': 'a',
        'd': '1973-05-20T00:00:00',
        'b': True,
        'm': '(today)',
    }
    assert pack(TYPED, {'f': b'', 'b': 0})['b'] is False


def test_none_counts_as_not_given():
    specs = (number('n', default=0), boolean('b', default=False), string('s'))
    assert pack(specs, {'n': None, 'b': None, 's': None}) == {'n': 0, 'b': False}


def test_numbers_keep_their_type_and_value():
    for value in (1, 1.0, 10**30, -0.5, 10**400):
        back = packed_and_unpacked((number('n'),), {'n': value})['n']
        assert back == value
        assert type(back) is type(value)


def test_infinity_is_refused():
    with pytest.raises(TypeError, match='value `inf` is not a number that JSON can carry'):
        pack((number('n'),), {'n': float('inf')})


def test_a_datetime_keeps_its_offset():
    day = dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert packed_and_unpacked((datetime('d'),), {'d': day})['d'].utcoffset() == dt.timedelta(hours=2)


def test_an_empty_declaration_allows_nothing():
    assert pack((), None) == pack((), {}) == {}
    with pytest.raises(ValueError, match='^unknown inputs: a$'):
        pack((), {'a': 1})


@pytest.mark.parametrize('values', ['f', [('f', b'x')], b'x', 3])
def test_values_must_be_a_mapping(values):
    with pytest.raises(TypeError, match=r'the inputs are an? \w+: pass a dict of f, n, s'):
        pack(TYPED, values)


def test_only_choices_are_accepted():
    days = (datetime('d', choices=('2024-1-1', dt.datetime(2024, 1, 2))),)
    assert pack(days, {'d': '1 January 2024'}) == {'d': '2024-01-01T00:00:00'}
    assert pack(days, {'d': '2024-01-02T00:00'}) == {'d': '2024-01-02T00:00:00'}
    for wrong in ('2024-1-3', 'lol', 3):
        with pytest.raises(ValueError, match='^d -> value not in '):
            pack(days, {'d': wrong})
    assert pack((number('n', choices=(1, 2.5)),), {'n': 1.0}) == {'n': 1.0}
    with pytest.raises(TypeError, match='^value `True` is not a number$'):
        pack((number('n', choices=(1, 2)),), {'n': True})
    assert pack((file('f', choices=[b'x']),), {'f': b'x'}) == {'f': 'eA=='}
    assert string('s', choices=()).choices is None

    class Elementwise:
        def __eq__(self, other):
            raise ValueError('the truth value is ambiguous')

    with pytest.raises(ValueError, match='^s -> value not in '):
        pack(TYPED, {'f': b'x', 's': Elementwise()})


def test_unpack_reads_what_other_clients_stored():
    stored = {'f': 'aGVs\nbG8=', 'd': '20 May 1973 09:00', 's': None, 'later': [1]}
    assert unpack(TYPED, stored, NOW) == {
        'f': b'hello',
        'n': 42,
        'd': dt.datetime(1973, 5, 20, 9),
        'later': [1],
    }
    assert unpack((moment('m', default='(today)'),), {}, NOW) == {'m': NOW}
    assert stored['f'] == 'aGVs\nbG8=', 'the stored object is not changed'


@pytest.mark.parametrize(
    ('stored', 'message'),
    [
        ({'f': '!'}, "`f` cannot be read as it is stored: '!' is not base64"),
        ({'f': 3}, '`f` cannot be read as it is stored: 3 is not base64'),
        ({'d': 'lol'}, "`d` cannot be read as it is stored: value `'lol'` is not a valid datetime"),
        ({'m': 'lol'}, "`m` cannot be read as it is stored: value `'lol'`"),
        ({'n': '3'}, "`n` cannot be read as it is stored: value `'3'` is not a number"),
        ([1], 'what is stored is a list'),
    ],
)
def test_unpack_refuses_what_does_not_satisfy_the_declaration(stored, message):
    with pytest.raises(ValueError) as caught:
        unpack(TYPED, stored)
    assert str(caught.value).startswith(message)


def test_moments_are_evaluated_at_each_read():
    stored = pack((moment('m'),), {'m': '(today)'})
    first, second = (unpack((moment('m'),), stored)['m'] for _ in range(2))
    assert first <= second <= dt.datetime.now()
    both = unpack((moment('a'), moment('b')), {'a': '(today)', 'b': '(today)'})
    assert both['a'] == both['b'], 'both moments have the same present time'


def test_convert_io_reads_texts_from_a_form():
    typed = {
        'f': 'hé',
        'n': ' 65 ',
        's': 'a',
        'd': '1973-5-20',
        'b': 'True',
        'm': '(today)',
        'ignored': 'x',
    }
    assert convert_io(TYPED, typed) == {
        'f': 'hé'.encode(),
        'n': 65,
        's': 'a',
        'd': dt.datetime(1973, 5, 20),
        'b': True,
        'm': '(today)',
    }
    assert convert_io(TYPED, {'n': None}) == {}


@pytest.mark.parametrize(
    ('text', 'expected'),
    [('0', 0), ('-1', -1), ('+7', 7), ('1.5', 1.5), ('.5', 0.5), ('1e3', 1000.0), ('2.', 2.0)],
)
def test_convert_io_reads_numbers(text, expected):
    read = convert_io((number('n'),), {'n': text})['n']
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize('text', ['true', 'TRUE', 'yes', 'on', '1', ' true '])
def test_convert_io_reads_words_for_true(text):
    assert convert_io((boolean('b'),), {'b': text}) == {'b': True}


@pytest.mark.parametrize('text', ['false', 'No', 'off', '0'])
def test_convert_io_reads_words_for_false(text):
    assert convert_io((boolean('b'),), {'b': text}) == {'b': False}


def test_convert_io_leaves_out_blank_fields_except_texts_and_files():
    blank = dict.fromkeys('fnsdbm', '')
    assert convert_io(TYPED, blank) == {'f': b'', 's': ''}


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ({'n': 'abc'}, "`n`: 'abc' is not a number"),
        ({'n': '1_000'}, "`n`: '1_000' is not a number"),
        ({'n': 'nan'}, "`n`: 'nan' is not a number"),
        ({'n': '1e999'}, "`n`: '1e999' is not a number"),
        ({'b': 'maybe'}, "`b`: 'maybe' is neither true nor false"),
        ({'d': 'lol'}, "`d`: 'lol' is not a date that can be read: write it as 1973-05-20"),
        ({'m': '(lol)'}, "`m`: '(lol)' is not a moment expression: at character 2: there is no function `lol`"),
    ],
)
def test_convert_io_refuses_texts_of_the_wrong_type(args, message):
    with pytest.raises(ValueError) as caught:
        convert_io(TYPED, args)
    assert str(caught.value).startswith(message)


def test_convert_io_accepts_only_text():
    with pytest.raises(TypeError, match='`n` is an int, not text'):
        convert_io(TYPED, {'n': 3})
