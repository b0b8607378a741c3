"""Scheduling, preparing and registering, as programs do it."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from rework import api, binary
from rework.errors import Ambiguous, ReworkError, UnknownOperation

OPERATIONS = Path(__file__).with_name('operations.py')

UTC = datetime.timezone.utc


@pytest.fixture
def place(rework):
    """With the operations of the scenarios, of which some declare their inputs."""
    rework.register(OPERATIONS)
    return rework


def test_a_task_is_what_was_asked_for(jobs, sql):
    at = datetime.datetime(
        2999, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=1))
    )
    task = api.schedule(
        jobs,
        'echo',
        'x',
        hostid='alpha',
        domain='default',
        metadata={'at': datetime.date(2026, 11, 22)},
        priority=-3,
        delayed_until=at,
        unique_key='k',
        capabilities=('gpu', 'a"b'),
    )
    found = sql(
        "select state, host, priority, delayed_until at time zone 'UTC', unique_key, capabilities "
        'from rework.task'
    )
    assert found == [
        ('delayed', 'alpha', -3, datetime.datetime(2999, 1, 2, 2, 4, 5), 'k', ['gpu', 'a"b'])
    ]
    assert task.metadata == {'at': datetime.date(2026, 11, 22)}
    again = api.schedule(jobs, 'echo', 'y', unique_key='k')
    assert (again.tid, again.input) == (task.tid, 'x')


def test_later_is_a_moment_or_a_while(jobs, sql):
    late = datetime.timedelta(hours=1)
    for until in (late, datetime.datetime.now() + late, datetime.datetime.now(UTC) + late):
        task = api.schedule(jobs, 'echo', delayed_until=until)
        ((seconds,),) = sql(
            'select extract(epoch from delayed_until - queued_at)::float from rework.task '
            'where id = %s',
            task.tid,
        )
        assert 3590 < seconds < 3610
        assert task.status == 'queued'
    assert api.schedule(jobs, 'echo', delayed_until=-late).state == 'queued'


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'inputdata': 1, 'rawinputdata': b''}, 'give one of the two'),
        ({'rawinputdata': 'text'}, "`rawinputdata` is bytes, not 'text'"),
        ({'inputdata': object()}, '`input` is an object, which JSON cannot carry'),
        ({'inputdata': {'a': [1, {2}]}}, r"`input['a'][1]` is a set"),
        ({'metadata': ['Bob']}, '`metadata` is a dict'),
        ({'metadata': {'a': object()}}, r"`metadata['a']` is an object"),
        ({'delayed_until': 'tomorrow'}, '`delayed_until` is a datetime or a timedelta'),
        ({'capabilities': 'gpu'}, "`capabilities` is a list of texts: ['gpu']"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_queued(jobs, sql, options, sentence):
    with pytest.raises(TypeError, match=re.escape(sentence)):
        api.schedule(jobs, 'echo', **options)
    assert sql('select count(*) from rework.task') == [(0,)]


def test_bytes_travel_as_a_value_or_raw(jobs):
    assert api.schedule(jobs, 'echo', b'\x00').input == b'\x00'
    assert api.schedule(jobs, 'echo', [b'\x00']).input == [b'\x00']
    assert api.schedule(jobs, 'echo', rawinputdata=bytearray(b'\x00')).raw_input == b'\x00'


def test_which_operation_is_meant(jobs, rework, tmp_path):
    other = tmp_path / 'other.toml'
    other.write_text('domain = "other"\n[[operation]]\nname = "echo"\nshell = "true"\n')
    rework.register(other)
    with pytest.raises(Ambiguous, match='`echo` is registered in several domains: default, other'):
        api.schedule(jobs, 'echo')
    with pytest.raises(ValueError):
        api.schedule(jobs, 'echo')
    here, there = (api.schedule(jobs, 'echo', domain=name) for name in ('default', 'other'))
    assert here.operation != there.operation
    for module in (str(other), 'other.toml'):
        assert api.schedule(jobs, 'echo', module=module).operation == there.operation
    with pytest.raises(UnknownOperation, match='`echo` is not registered from `nope.py`'):
        api.schedule(jobs, 'echo', module='nope.py')
    with pytest.raises(UnknownOperation, match='not registered in domain `nope`') as error:
        api.schedule(jobs, 'echo', domain='nope')
    assert error.value.hint == 'see `rework list-operations`'


def test_declared_inputs(place):
    task = api.schedule(place.dsn, 'typed', {'f': b'x', 'd': '2026-11-22'})
    assert task.input == {'f': b'x', 'n': 42, 'd': datetime.datetime(2026, 11, 22)}
    assert [spec['name'] for spec in task.inputspec] == ['f', 'n', 's', 'd', 'b', 'm']
    assert [spec['type'] for spec in task.outputspec] == ['string', 'number', 'datetime']
    for inputs, error in (
        (None, 'missing required input: `f`'),
        ({'f': 'text'}, 'is not bytes'),
        ([1], 'the inputs are a list: pass a dict of f, n, s, d, b, m'),
    ):
        with pytest.raises((ValueError, TypeError), match=error):
            api.schedule(place.dsn, 'typed', inputs)
    raw = api.schedule(place.dsn, 'typed', rawinputdata=b'held against nothing')
    assert raw.raw_input == b'held against nothing'
    assert api.schedule(place.dsn, 'noinput').input is None
    assert api.schedule(place.dsn, 'noinput', {}).input == {}


def test_a_schedule_is_prepared(jobs, sql):
    given = {'a': [1, 'é'], 'at': datetime.date(2026, 11, 22)}
    sid = api.prepare(
        jobs,
        'echo',
        '0 15 8,12 * * *',
        inputdata=given,
        host='alpha',
        metadata={'user': 'Bob'},
        zone='Europe/Vienna',
        priority=-2,
        capabilities=['gpu'],
        missed='last',
        overlap='skip',
    )
    columns = 'id, rule, zone, host, metadata, priority, capabilities, missed, overlap'
    assert sql(f'select {columns} from rework.schedule') == [
        (
            sid,
            '0 15 8,12 * * *',
            'Europe/Vienna',
            'alpha',
            {'user': 'Bob'},
            -2,
            ['gpu'],
            'last',
            'skip',
        )
    ]
    ((tid,),) = sql('select rework.run_scheduled(%s)', sid)
    assert api.Task.byid(jobs, tid).input == given
    assert api.unprepare(jobs, sid) == 1
    assert api.unprepare(jobs, sid) == 0


def test_a_schedule_may_have_bytes_or_nothing(jobs, place, sql):
    api.prepare(jobs, 'echo', '0 8 * * *', rawinputdata=b'\x00\xff')
    api.prepare(jobs, 'echo', '0 8 * * *')
    api.prepare(jobs, 'typed', '0 8 * * *', domain='other', inputdata={'f': b'x'})
    api.prepare(jobs, 'noinput', '0 8 * * *')
    assert sql('select input::text, input_bytes from rework.schedule order by id') == [
        (None, b'\x00\xff'),
        (None, None),
        ('{"f":"eA==","n":42}', None),
        ('{}', None),
    ]


@pytest.mark.parametrize(
    ('rule', 'sentence'),
    [
        (None, "`rule` is a text such as '0 8"),
        ('0 99 8 * * *', '`0 99 8 * * *` is no cron rule'),
        ('8 * * *', 'is no cron rule'),
        ('', 'is no cron rule'),
        ('-1 * * * *', 'is no cron rule'),
        (' * * * * * *', '"every second" rule is forbidden'),
    ],
)
def test_what_is_no_rule_is_told(jobs, sql, rule, sentence):
    with pytest.raises((ReworkError, ValueError)) as error:
        api.prepare(jobs, 'echo', rule)
    assert sentence in str(error.value)
    assert sql('select count(*) from rework.schedule') == [(0,)]


def test_every_second_may_be_meant(jobs):
    assert api.prepare(jobs, 'echo', '* * * * * *', _anyrule=True)


def test_only_what_is_known_is_prepared(jobs):
    with pytest.raises(UnknownOperation, match='`echo` is not registered in domain `other`'):
        api.prepare(jobs, 'echo', '0 8 * * *', domain='other')
    with pytest.raises(ReworkError, match='there is no time zone `Mars`'):
        api.prepare(jobs, 'echo', '0 8 * * *', zone='Mars')


def test_a_schedule_that_is_prepared_again_keeps_its_zone(jobs, sql):
    zones = 'select zone from rework.schedule order by rule, host'
    for zone in ('Europe/Vienna', None):
        api.prepare(jobs, 'echo', '0 8 * * *', inputdata={'n': 1, 'm': 2}, zone=zone)
    assert sql(zones) == [('Europe/Vienna',)]
    api.prepare(jobs, 'echo', '0  8 * * *', inputdata={'m': 2, 'n': 1})
    assert sql(zones) == [('Europe/Vienna',)]
    api.prepare(jobs, 'echo', '0 9 * * *')
    assert sql(zones) == [('Europe/Vienna',), ('UTC',)]
    api.prepare(jobs, 'echo', '0 8 * * *', inputdata={'n': 1, 'm': 2}, zone='UTC')
    assert sql(zones) == [('UTC',), ('UTC',)]


def test_what_was_declared_is_registered(rework, sql, tmp_path, monkeypatch):
    module = tmp_path / 'frozen.py'
    module.write_text(
        'from rework import api\n'
        '@api.task\ndef one(task): task.save_output(task.input + 1)\n'
        "@api.task(domain='cold')\ndef two(task): pass\n"
    )
    script = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r}); import frozen\n'
        'from rework import api\n'
        f'print(*api.freeze_operations({rework.dsn!r}, domain="cold", hostid="alpha"))\n'
        f'print(*api.freeze_operations({rework.dsn!r}))\n'
        f'print(*api.freeze_operations({rework.dsn!r}, reset=False))\n'
    )
    said = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert said.stdout.split('\n')[:3] == ['1 0', '2 0', '0 2'], said.stderr
    placed = sql(
        'select o.name, p.host, p.path, p.interpreter from rework.operation o '
        "join rework.placement p on p.operation = o.id where p.host = 'alpha'"
    )
    assert placed == [('two', 'alpha', str(module), sys.executable)]
    task = api.schedule(rework.dsn, 'one', 1)
    with rework.workers():
        task.join(timeout=30)
    assert task.output == 2


def test_what_is_in_no_file_is_told(rework):
    script = (
        'from rework import api\n@api.task\ndef one(task): pass\n'
        f'api.freeze_operations({rework.dsn!r})'
    )
    said = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert 'operation `one` is in no file that workers could load' in said.stderr


def test_the_program_is_found(monkeypatch, tmp_path):
    program = tmp_path / 'rework'
    program.write_text('#!/bin/sh\n')
    program.chmod(0o755)
    monkeypatch.setenv('REWORK_BINARY', str(program))
    assert binary.path() == str(program)
    monkeypatch.setenv('REWORK_BINARY', str(tmp_path / 'nope'))
    with pytest.raises(ReworkError, match='is no program'):
        binary.path()
    monkeypatch.delenv('REWORK_BINARY')
    monkeypatch.setattr(binary, '_beside_python', lambda: iter([]))
    monkeypatch.setenv('PATH', str(tmp_path))
    assert binary.path() == str(program)
    monkeypatch.setattr(binary, '_beside_python', lambda: iter([sys.executable]))
    assert binary.path() == sys.executable
    monkeypatch.setattr(binary, '_beside_python', lambda: iter([]))
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(ReworkError, match='pip install rework-pg'):
        binary.path()


def test_the_program_never_has_the_dsn_in_its_arguments(jobs, monkeypatch, tmp_path):
    spy = tmp_path / 'rework'
    real = binary.path()
    spy.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/args\nexec {real} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv('REWORK_BINARY', str(spy))
    api.prepare(jobs, 'echo', '0 8 * * *', inputdata={'token': 'hidden'})
    with api.workers(jobs):
        pass
    password = psycopg.conninfo.conninfo_to_dict(jobs)['password']
    args = (tmp_path / 'args').read_text()
    assert 'prepare' in args and 'monitor' in args
    assert password not in args and 'hidden' not in args


@pytest.mark.parametrize(
    ('said', 'message', 'hint'),
    [
        ('error: no\nhint: do\n', 'no', 'do'),
        ('warning: w\nhint: h\nerror: no\ncaused by: why\nhint: do', 'no: why', 'do'),
        ('error: two\nlines\n', 'two\nlines', None),
        ('panic\n', 'panic', None),
        ('', 'otherwise', None),
    ],
)
def test_errors_of_the_program(said, message, hint):
    error = binary.refusal(said, 'otherwise')
    assert (error.message, error.hint) == (message, hint)
