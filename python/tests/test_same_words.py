"""What is wrong is told in the same words by the package and by the command line."""

import subprocess
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from rework import api, binary
from rework.errors import BadInput, BadInputType

OPERATIONS = Path(__file__).with_name('operations.py')

CHOOSY = """
import datetime as dt

from rework import api, io

UTC = dt.timezone.utc
EAST = dt.timezone(dt.timedelta(hours=-2))


@api.task(
    inputs=(
        io.file('f', choices=(b'hi', b'it\\'s \\x00')),
        io.number('n', choices=(1, 2.5, 1e16)),
        io.datetime('d', choices=('1973-5-20', dt.datetime(2024, 2, 3, 9, 0, 7, 5))),
        io.datetime('z', choices=(dt.datetime(1973, 5, 20, tzinfo=EAST), '1973-5-20 9:00 Z')),
        io.boolean('b', choices=(True,)),
        io.moment('m', choices=('(today)',)),
    )
)
def choosy(task):
    pass


@api.task(inputs=())
def nothing(task):
    pass
"""


@pytest.fixture
def place(rework):
    rework.register(OPERATIONS)
    return rework


def command_says(dsn, *words):
    """The message of the command line, and its hint."""
    environment = binary.environment(dsn)
    done = subprocess.run(
        [binary.path(), *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    message, _, hint = done.stderr.rstrip('\n').partition('\nhint: ')
    return message.removeprefix('error: '), hint


def package_says(call):
    """The message of the package, and its hint."""
    with pytest.raises(Exception) as error:
        call()
    message, _, hint = str(error.value).partition('\nhint: ')
    return message, hint


def says_the_same(dsn, operation, inputdata, json):
    """The message for an input, which is given as JSON on the command line; None: none is given."""
    words = [] if json is None else ['--input', json]
    said = package_says(lambda: api.schedule(dsn, operation, inputdata))
    assert said == command_says(dsn, 'schedule', operation, *words)
    assert said == package_says(lambda: api.prepare(dsn, operation, '0 8 * * *', None, inputdata))
    return said[0]


def test_an_operation_that_is_not_known(place):
    said = says_the_same(place.dsn, 'nope', None, None)
    assert said == 'operation `nope` is not registered'


@pytest.mark.parametrize(
    ('inputdata', 'json', 'sentence'),
    [
        (None, None, 'missing required input: `f`'),
        ({}, '{}', 'missing required input: `f`'),
        ({'unknown': 1}, '{"unknown": 1}', 'missing required input: `f`'),
        ({'f': None}, '{"f": null}', 'missing required input: `f`'),
        (
            {'f': b'hi', 'z': 1, 'q': None},
            '{"f": "aGk=", "z": 1, "q": null}',
            'unknown inputs: q,z',
        ),
        ({'f': 3}, '{"f": 3}', 'value `3` is not bytes'),
        ({'f': 'hi!', 'n': '3'}, '{"f": "hi!", "n": "3"}', "value `'hi!'` is not bytes"),
        ({'f': b'', 'n': '3'}, '{"f": "", "n": "3"}', "value `'3'` is not a number"),
        ({'f': b'', 'n': True}, '{"f": "", "n": true}', 'value `True` is not a number'),
        (
            {'f': b'', 'n': [1.5e-7]},
            '{"f": "", "n": [1.5e-7]}',
            'value `[1.5e-07]` is not a number',
        ),
        ({'f': b'', 's': 'c'}, '{"f": "", "s": "c"}', "s -> value not in ['a', 'b']"),
        ({'f': b'', 's': 3}, '{"f": "", "s": 3}', "s -> value not in ['a', 'b']"),
        ({'f': b'', 'd': 20}, '{"f": "", "d": 20}', 'value `20` is not str/datetime'),
        ({'f': b'', 'b': "it's"}, '{"f": "", "b": "it\'s"}', 'value `"it\'s"` is not a boolean'),
        ({'f': b'', 'b': 2}, '{"f": "", "b": 2}', 'value `2` is not a boolean'),
        (
            {'f': b'', 'm': {'a': None}},
            '{"f": "", "m": {"a": null}}',
            "value `{'a': None}` is not a valid moment expression",
        ),
        (['f'], '["f"]', 'the inputs are a list: pass a dict of f, n, s, d, b, m'),
        (1.5, '1.5', 'the inputs are a float: pass a dict of f, n, s, d, b, m'),
        (
            {'f': b'', 'n': 'é\n' * 200},
            '{"f": "", "n": "' + 'é\\n' * 200 + '"}',
            "value `'" + 'é\\n' * 66 + 'é…` is not a number',
        ),
    ],
)
def test_an_input_that_does_not_fit(place, inputdata, json, sentence):
    assert says_the_same(place.dsn, 'typed', inputdata, json) == sentence


@pytest.mark.parametrize(
    ('inputdata', 'json'),
    [
        ({'f': b'ho'}, '{"f": "aG8="}'),
        ({'n': 2}, '{"n": 2}'),
        ({'d': '1973-05-21'}, '{"d": "1973-05-21"}'),
        ({'z': '1973-05-20T09:00:00+02:00'}, '{"z": "1973-05-20T09:00:00+02:00"}'),
        ({'b': False}, '{"b": false}'),
        ({'m': '(date "2024-1-1")'}, '{"m": "(date \\"2024-1-1\\")"}'),
    ],
)
def test_choices_of_each_type(rework, tmp_path, inputdata, json):
    module = tmp_path / 'choosy.py'
    module.write_text(CHOOSY)
    rework.register(module)
    (name,) = inputdata
    assert f'{name} -> value not in [' in says_the_same(rework.dsn, 'choosy', inputdata, json)
    said = says_the_same(rework.dsn, 'nothing', {'z': 1}, '{"z": 1}')
    assert said == 'unknown inputs: z'


def test_the_classes_are_those_of_python(place):
    with pytest.raises(BadInput) as error:
        api.schedule(place.dsn, 'typed')
    assert isinstance(error.value, ValueError)
    assert error.value.args == ('missing required input: `f`',)
    assert error.value.hint == 'see `rework schedule typed --help`'
    with pytest.raises(BadInputType) as error:
        api.schedule(place.dsn, 'typed', {'f': 'text'})
    assert isinstance(error.value, TypeError)
    assert error.value.args == ("value `'text'` is not bytes",)
    with pytest.raises(BadInput) as error:
        api.schedule(place.dsn, 'typed', {'f': b'', 'm': '(tomorrow)'})
    assert 'tomorrow' in str(error.value.__cause__), 'it tells where and why'


def test_a_line_of_many(place, tmp_path):
    lines = tmp_path / 'lines'
    lines.write_text('{"f": ""}\n{"f": "", "n": "3"}\n')
    said, hint = command_says(place.dsn, 'schedule', 'typed', '--many', str(lines))
    sentence, see = package_says(lambda: api.schedule(place.dsn, 'typed', {'f': b'', 'n': '3'}))
    assert said == f'line 2 of `{lines}`: {sentence}'
    assert hint == f'nothing was scheduled; {see}'


@pytest.mark.parametrize('text', ['def broken(:\n', 'import no_such_module\n', '1 / 0\n'])
def test_a_module_that_cannot_be_registered(rework, tmp_path, text):
    module = tmp_path / 'broken.py'
    module.write_text(text)
    words = ('register-operations', str(module), '--python', sys.executable)
    assert package_says(lambda: rework.register(module)) == command_says(rework.dsn, *words)


def test_a_server_that_is_away():
    dsn = 'postgres://me@127.0.0.1:9/x'
    assert package_says(lambda: api.schedule(dsn, 'echo')) == command_says(dsn, 'schedule', 'echo')


def test_a_database_that_is_not_there(place):
    dsn = make_conninfo(place.dsn, dbname='no_such_db')
    assert package_says(lambda: api.schedule(dsn, 'echo')) == command_says(dsn, 'schedule', 'echo')
