"""The package and the command line report an error with the same message and hint."""

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
def installation(rework):
    rework.register(OPERATIONS)
    return rework


def error_of_command(dsn, *args):
    """Return the message and the hint of the command line."""
    environment = binary.environment(dsn)
    done = subprocess.run([binary.path(), *args], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    message, _, hint = done.stderr.rstrip('\n').partition('\nhint: ')
    return message.removeprefix('error: '), hint


def error_of_package(call):
    """Return the message and the hint of the package."""
    with pytest.raises(Exception) as error:
        call()
    message, _, hint = str(error.value).partition('\nhint: ')
    return message, hint


def common_message(dsn, operation, inputdata, json):
    """Return the message for an input after checking that it is the same everywhere.

    `json` is the input on the command line, or None for no input.
    """
    args = [] if json is None else ['--input', json]
    error = error_of_package(lambda: api.schedule(dsn, operation, inputdata))
    assert error == error_of_command(dsn, 'schedule', operation, *args)
    assert error == error_of_package(lambda: api.prepare(dsn, operation, '0 8 * * *', None, inputdata))
    return error[0]


def test_an_unknown_operation_has_the_same_message(installation):
    message = common_message(installation.dsn, 'nope', None, None)
    assert message == 'operation `nope` is not registered'


@pytest.mark.parametrize(
    ('inputdata', 'json', 'message'),
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
def test_an_input_that_does_not_satisfy_the_declaration_has_the_same_message(installation, inputdata, json, message):
    assert common_message(installation.dsn, 'typed', inputdata, json) == message


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
def test_a_value_that_is_not_a_choice_has_the_same_message(rework, tmp_path, inputdata, json):
    module = tmp_path / 'choosy.py'
    module.write_text(CHOOSY)
    rework.register(module)
    (name,) = inputdata
    assert f'{name} -> value not in [' in common_message(rework.dsn, 'choosy', inputdata, json)
    message = common_message(rework.dsn, 'nothing', {'z': 1}, '{"z": 1}')
    assert message == 'unknown inputs: z'


def test_errors_about_inputs_are_also_value_errors_or_type_errors(installation):
    with pytest.raises(BadInput) as error:
        api.schedule(installation.dsn, 'typed')
    assert isinstance(error.value, ValueError)
    assert error.value.args == ('missing required input: `f`',)
    assert error.value.hint == 'see `rework schedule typed --help`'
    with pytest.raises(BadInputType) as error:
        api.schedule(installation.dsn, 'typed', {'f': 'text'})
    assert isinstance(error.value, TypeError)
    assert error.value.args == ("value `'text'` is not bytes",)
    with pytest.raises(BadInput) as error:
        api.schedule(installation.dsn, 'typed', {'f': b'', 'm': '(tomorrow)'})
    assert 'tomorrow' in str(error.value.__cause__), 'the cause says where and why'


def test_a_line_of_many_has_the_same_message(installation, tmp_path):
    lines = tmp_path / 'lines'
    lines.write_text('{"f": ""}\n{"f": "", "n": "3"}\n')
    message, hint = error_of_command(installation.dsn, 'schedule', 'typed', '--many', str(lines))
    expected, expected_hint = error_of_package(lambda: api.schedule(installation.dsn, 'typed', {'f': b'', 'n': '3'}))
    assert message == f'line 2 of `{lines}`: {expected}'
    assert hint == f'nothing was scheduled; {expected_hint}'


@pytest.mark.parametrize('text', ['def broken(:\n', 'import no_such_module\n', '1 / 0\n'])
def test_a_module_that_cannot_be_imported_has_the_same_message(rework, tmp_path, text):
    module = tmp_path / 'broken.py'
    module.write_text(text)
    args = ('register-operations', str(module), '--python', sys.executable)
    assert error_of_package(lambda: rework.register(module)) == error_of_command(rework.dsn, *args)


def test_an_unreachable_server_has_the_same_message():
    dsn = 'postgres://me@127.0.0.1:9/x'
    assert error_of_package(lambda: api.schedule(dsn, 'echo')) == error_of_command(dsn, 'schedule', 'echo')


def test_a_missing_database_has_the_same_message(installation):
    dsn = make_conninfo(installation.dsn, dbname='no_such_db')
    assert error_of_package(lambda: api.schedule(dsn, 'echo')) == error_of_command(dsn, 'schedule', 'echo')
