"""Scheduling tasks, preparing schedules and registering operations, as programs do it."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from rework import api, binary
from rework.errors import Ambiguous, ReworkError, UnknownOperation
from rework.operation import Operation

OPERATIONS = Path(__file__).with_name('operations.py')

UTC = datetime.timezone.utc


@pytest.fixture
def installation(rework):
    """Return a database with the operations of operations.py, some of which declare their inputs."""
    rework.register(OPERATIONS)
    return rework


def test_a_task_has_the_arguments_it_was_scheduled_with(jobs, sql):
    at = datetime.datetime(2999, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
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
        "select state, host, priority, delayed_until at time zone 'UTC', unique_key, capabilities from rework.task"
    )
    assert found == [('delayed', 'alpha', -3, datetime.datetime(2999, 1, 2, 2, 4, 5), 'k', ['gpu', 'a"b'])]
    assert task.metadata == {'at': datetime.date(2026, 11, 22)}
    again = api.schedule(jobs, 'echo', 'y', unique_key='k')
    assert (again.tid, again.input) == (task.tid, 'x')
    assert (task.created, again.created, api.Task.byid(jobs, task.tid).created) == (True, False, None)


def test_a_unique_key_can_be_limited_and_replaced(jobs, sql):
    hour = datetime.timedelta(hours=1)

    def schedule(inputdata, **options):
        return api.schedule(jobs, 'echo', inputdata, unique_key='k', **options)

    task = schedule(1, unique_while='unfinished', unique_for=hour)
    assert not schedule(2).created
    replaced = schedule(3, on_conflict='replace', delayed_until=hour)
    assert (replaced.tid, replaced.created, replaced.input, replaced.state) == (task.tid, False, 3, 'delayed')
    schedule(4, debounce=2 * hour, at_most=datetime.timedelta(microseconds=1))
    assert (task.input, task.state) == (4, 'queued')
    task.abort()
    second = schedule(5, debounce=hour)
    assert (second.created, second.state) == (True, 'delayed')
    assert sql('select unique_while, until from rework.key_holder') == [('queued', None)]
    for options, message in (
        ({'unique_while': 'always'}, '`unique_while` is `always`'),
        ({'unique_for': datetime.timedelta(0)}, '`unique_for` is not a time of more'),
        ({'at_most': hour}, '`at_most` limits `debounce`, which is not given'),
    ):
        with pytest.raises(ReworkError, match=message):
            schedule(6, **options)


def test_a_task_can_wait_for_others(jobs, sql):
    first = api.schedule(jobs, 'echo')
    second = api.schedule(jobs, 'echo', after=[first, first.tid], after_failure='run')
    assert (second.state, second.status) == ('waiting', 'queued')
    edges = sql('select task, successor, after_failure from rework.edge')
    assert edges == [(first.tid, second.tid, 'run')]
    with pytest.raises(ReworkError, match='`after_failure` is `never`'):
        api.schedule(jobs, 'echo', after=[first], after_failure='never')


def test_the_operations_before_and_after_are_part_of_the_definition():
    operation = Operation(function=print, name='build', run_after=('publish', 'tell'), on_failure=('tell',))
    definition = operation.definition()
    assert (definition['run_after'], definition['on_failure']) == (['publish', 'tell'], ['tell'])
    assert 'run_before' not in definition
    with pytest.raises(TypeError, match='`run_after` must be the name of an operation or a list of names'):
        api.task(run_after=3)
    for name in ('a b', '-x', ''):
        with pytest.raises(ValueError, match='is not a name: write one word'):
            api.task(on_failure=['tell', name])


def test_a_task_can_be_delayed_until_a_moment_or_by_a_duration(jobs, sql):
    delay = datetime.timedelta(hours=1)
    for until in (delay, datetime.datetime.now() + delay, datetime.datetime.now(UTC) + delay):
        task = api.schedule(jobs, 'echo', delayed_until=until)
        ((seconds,),) = sql(
            'select extract(epoch from delayed_until - queued_at)::float from rework.task where id = %s',
            task.tid,
        )
        assert 3590 < seconds < 3610
        assert task.status == 'queued'
    assert api.schedule(jobs, 'echo', delayed_until=-delay).state == 'queued'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'inputdata': 1, 'rawinputdata': b''}, 'give one of the two'),
        ({'rawinputdata': 'text'}, "`rawinputdata` must be bytes, not 'text'"),
        ({'inputdata': object()}, '`input` is an object, which JSON cannot carry'),
        ({'inputdata': {'a': [1, {2}]}}, r"`input['a'][1]` is a set"),
        ({'metadata': ['Bob']}, '`metadata` must be a dict'),
        ({'metadata': {'a': object()}}, r"`metadata['a']` is an object"),
        ({'delayed_until': 'tomorrow'}, '`delayed_until` must be a datetime or a timedelta'),
        ({'capabilities': 'gpu'}, "`capabilities` must be a list of texts: ['gpu']"),
        ({'unique_for': 5}, '`unique_for` must be a timedelta, not 5'),
    ],
)
def test_a_wrong_argument_is_reported_and_nothing_is_queued(jobs, sql, options, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        api.schedule(jobs, 'echo', **options)
    assert sql('select count(*) from rework.task') == [(0,)]


def test_bytes_can_be_a_json_value_or_a_raw_input(jobs):
    assert api.schedule(jobs, 'echo', b'\x00').input == b'\x00'
    assert api.schedule(jobs, 'echo', [b'\x00']).input == [b'\x00']
    assert api.schedule(jobs, 'echo', rawinputdata=bytearray(b'\x00')).raw_input == b'\x00'


def test_an_ambiguous_operation_is_refused_unless_its_domain_or_module_is_named(jobs, rework, tmp_path):
    manifest = tmp_path / 'other.toml'
    manifest.write_text('domain = "other"\n[[operation]]\nname = "echo"\nshell = "true"\n')
    rework.register(manifest)
    with pytest.raises(Ambiguous, match='`echo` is registered in several domains: default, other'):
        api.schedule(jobs, 'echo')
    with pytest.raises(ValueError):
        api.schedule(jobs, 'echo')
    default, other = (api.schedule(jobs, 'echo', domain=name) for name in ('default', 'other'))
    assert default.operation != other.operation
    for module in (str(manifest), 'other.toml'):
        assert api.schedule(jobs, 'echo', module=module).operation == other.operation
    with pytest.raises(UnknownOperation, match='`echo` is not registered from `nope.py`'):
        api.schedule(jobs, 'echo', module='nope.py')
    with pytest.raises(UnknownOperation, match='not registered in domain `nope`') as error:
        api.schedule(jobs, 'echo', domain='nope')
    assert error.value.hint == 'see `rework list-operations`'


def test_declared_inputs_are_validated_when_a_task_is_scheduled(installation):
    task = api.schedule(installation.dsn, 'typed', {'f': b'x', 'd': '2026-11-22'})
    assert task.input == {'f': b'x', 'n': 42, 'd': datetime.datetime(2026, 11, 22)}
    assert [spec['name'] for spec in task.inputspec] == ['f', 'n', 's', 'd', 'b', 'm']
    assert [spec['type'] for spec in task.outputspec] == ['string', 'number', 'datetime']
    for inputs, error in (
        (None, 'missing required input: `f`'),
        ({'f': 'text'}, 'is not bytes'),
        ([1], 'the inputs are a list: pass a dict of f, n, s, d, b, m'),
    ):
        with pytest.raises((ValueError, TypeError), match=error):
            api.schedule(installation.dsn, 'typed', inputs)
    raw = api.schedule(installation.dsn, 'typed', rawinputdata=b'not validated')
    assert raw.raw_input == b'not validated'
    assert api.schedule(installation.dsn, 'noinput').input is None
    assert api.schedule(installation.dsn, 'noinput', {}).input == {}


def test_prepare_declares_a_schedule_and_unprepare_removes_it(jobs, sql):
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


def test_a_schedule_may_have_raw_bytes_or_no_input(jobs, installation, sql):
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
    ('rule', 'message'),
    [
        (None, "`rule` must be a text such as '0 8"),
        ('0 99 8 * * *', '`0 99 8 * * *` is not a valid cron rule'),
        ('8 * * *', 'is not a valid cron rule'),
        ('', 'is not a valid cron rule'),
        ('-1 * * * *', 'is not a valid cron rule'),
        (' * * * * * *', '"every second" rule is forbidden'),
    ],
)
def test_a_wrong_rule_is_reported(jobs, sql, rule, message):
    with pytest.raises((ReworkError, ValueError)) as error:
        api.prepare(jobs, 'echo', rule)
    assert message in str(error.value)
    assert sql('select count(*) from rework.schedule') == [(0,)]


def test_a_rule_of_every_second_can_be_allowed(jobs):
    assert api.prepare(jobs, 'echo', '* * * * * *', _anyrule=True)


def test_an_unknown_operation_or_zone_is_refused(jobs):
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


def test_freeze_operations_registers_what_the_process_has_declared(rework, sql, tmp_path, monkeypatch):
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
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.stdout.split('\n')[:3] == ['1 0', '2 0', '0 2'], done.stderr
    placed = sql(
        'select o.name, p.host, p.path, p.interpreter from rework.operation o '
        "join rework.placement p on p.operation = o.id where p.host = 'alpha'"
    )
    assert placed == [('two', 'alpha', str(module), sys.executable)]
    task = api.schedule(rework.dsn, 'one', 1)
    with rework.workers():
        task.join(timeout=30)
    assert task.output == 2


def test_an_operation_that_is_not_in_a_file_is_reported(rework):
    script = f'from rework import api\n@api.task\ndef one(task): pass\napi.freeze_operations({rework.dsn!r})'
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert 'operation `one` is not in a file that workers could load' in done.stderr


def test_the_program_is_found_by_variable_beside_python_or_in_path(monkeypatch, tmp_path):
    program = tmp_path / 'rework'
    program.write_text('#!/bin/sh\n')
    program.chmod(0o755)
    monkeypatch.setenv('REWORK_BINARY', str(program))
    assert binary.path() == str(program)
    monkeypatch.setenv('REWORK_BINARY', str(tmp_path / 'nope'))
    with pytest.raises(ReworkError, match='is not a program'):
        binary.path()
    monkeypatch.delenv('REWORK_BINARY')
    monkeypatch.setattr(binary, '_installed_paths', lambda: iter([]))
    monkeypatch.setenv('PATH', str(tmp_path))
    assert binary.path() == str(program)
    monkeypatch.setattr(binary, '_installed_paths', lambda: iter([sys.executable]))
    assert binary.path() == sys.executable
    monkeypatch.setattr(binary, '_installed_paths', lambda: iter([]))
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(ReworkError, match='pip install rework-pg'):
        binary.path()


def test_the_arguments_of_the_program_contain_neither_dsn_nor_input(jobs, monkeypatch, tmp_path):
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
    ('stderr', 'message', 'hint'),
    [
        ('error: no\nhint: do\n', 'no', 'do'),
        ('warning: w\nhint: h\nerror: no\ncaused by: why\nhint: do', 'no: why', 'do'),
        ('error: two\nlines\n', 'two\nlines', None),
        ('panic\n', 'panic', None),
        ('', 'default', None),
    ],
)
def test_an_error_of_the_program_is_parsed_from_stderr(stderr, message, hint):
    error = binary.error_from_stderr(stderr, 'default')
    assert (error.message, error.hint) == (message, hint)
