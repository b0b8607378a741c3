"""The scenarios of rework 0.17, with their numbers, through the Python package."""

import time
from pathlib import Path

import pytest

from rework import api
from rework.errors import ReworkError

OPERATIONS = Path(__file__).with_name('operations.py')


@pytest.fixture
def installation(rework):
    rework.register(OPERATIONS)
    return rework


def is_alive(pid):
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def until(what, condition, seconds=30):
    """Wait until a condition is true. `what` describes it in the failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'not within {seconds} s: {what}'
        time.sleep(0.02)


def run(installation, operation, *args, workers=None, **options):
    """Schedule a task, run it, and return it after its end."""
    task = api.schedule(installation.dsn, operation, *args, **options)
    with installation.workers(**(workers or {})):
        task.join(timeout=60)
    return task


def test_the_quick_start_works(installation):
    """Scenario RW-1."""
    t1 = api.schedule(installation.dsn, 'double', 'hello')
    t2 = api.schedule(installation.dsn, 'double', 100)
    with installation.workers(maxworkers=2):
        t1.join(timeout=30)
        t2.join(timeout=30)
    assert (t1.output, t2.output) == ('hellohello', 200)
    lines = [line for _, line in t1.logs()]
    assert [line.rpartition(': ')[2] for line in lines] == ['I am running', 'I am done']
    assert all(line.startswith('stdout:INFO: ') for line in lines)


def test_a_failed_run_keeps_its_cause_and_its_worker(installation):
    """Scenario RW-2."""
    names = ('boom', 'die', 'exit7', 'interrupted', 'crash')
    boom, die, exit7, interrupted, crash = (api.schedule(installation.dsn, name) for name in names)
    before = api.schedule(installation.dsn, 'pid')
    with installation.workers():
        before.join(timeout=60)
    assert {task.state for task in (boom, die, exit7, interrupted, crash)} == {'failed'}
    assert boom.traceback.endswith('oops')
    assert boom.output == 'partial'
    assert [line.rpartition(': ')[2] for _, line in boom.logs()] == ['before']
    assert die.deathinfo == 'exit code 3'
    assert not die.traceback
    assert '7' in exit7.deathinfo
    assert 'KeyboardInterrupt' in interrupted.traceback
    assert 'signal 11' in crash.deathinfo
    assert any('in crash' in line for _, line in crash.logs())
    assert len({task.worker for task in (boom, die, exit7, crash, before)}) == 1


def test_each_task_is_executed_once(installation):
    """Scenario RW-3."""
    tasks = [api.schedule(installation.dsn, 'says_its_id') for _ in range(100)]
    with installation.workers(maxworkers=4):
        for task in tasks:
            task.join(timeout=60)
    assert all([line[-len(str(t.tid)) :] for _, line in t.logs()] == [str(t.tid)] for t in tasks)


def test_a_monitor_runs_only_tasks_of_its_domain(installation):
    """Scenario RW-4."""
    nondefault = api.schedule(installation.dsn, 'other_dom')
    default = api.schedule(installation.dsn, 'double', 1)
    with installation.workers(domain='nondefault'):
        nondefault.join(timeout=30)
    assert (nondefault.output, default.state) == ('other domain', 'queued')


def test_an_abort_ends_every_process_of_a_running_task(installation):
    """Scenario RW-5."""
    task = api.schedule(installation.dsn, 'forever', 'with a child')
    with installation.workers():
        until('it has a child', lambda: task.output)
        pids = task.output
        task.abort('not needed')
        task.join(timeout=10)
        assert task.state == 'aborted'
        until('both have ended', lambda: not any(map(is_alive, pids)))
        assert api.schedule(installation.dsn, 'double', 1).join(timeout=10) is None


def test_the_reason_of_an_abort_is_kept(installation):
    """Scenario RW-6."""
    task = api.schedule(installation.dsn, 'forever')
    with installation.workers():
        task.join('running', timeout=30)
        task.abort('from the command line')
        task.join(timeout=10)
    assert 'from the command line' in task.deathinfo


def test_a_run_that_passes_its_timeout_fails_alone(installation):
    """Scenario RW-7."""
    slow = api.schedule(installation.dsn, 'slow_t')
    quick = api.schedule(installation.dsn, 'quick_t')
    with installation.workers(maxworkers=2):
        slow.join(timeout=30)
        quick.join(timeout=30)
    assert (slow.state, quick.state) == ('failed', 'done')
    assert slow.deathinfo == 'timed out after 2s'


def test_a_runner_is_replaced_after_maxruns_runs(installation):
    """Scenario RW-13."""
    tasks = [api.schedule(installation.dsn, 'pid') for _ in range(3)]
    with installation.workers(maxruns=1):
        for task in tasks:
            task.join(timeout=30)
    assert len({task.output for task in tasks}) == 3


def test_a_runner_is_replaced_after_the_run_that_passed_maxmem(installation):
    """Scenario RW-14."""
    small, large, after = (api.schedule(installation.dsn, 'leak', size) for size in (10, 200, 1))
    with installation.workers(maxmem=150):
        for task in (small, large, after):
            task.join(timeout=30)
    assert small.output == large.output != after.output


def test_a_runner_that_never_starts_fails_its_task(installation, tmp_path):
    """Scenario RW-15."""
    module = tmp_path / 'endless.py'
    module.write_text(
        'import os, time\n'
        'from rework import api\n'
        '@api.task\n'
        'def never(task): pass\n'
        'while os.path.exists(__file__ + ".slow"): time.sleep(0.1)\n'
    )
    installation.register(module)
    Path(f'{module}.slow').touch()
    task = run(installation, 'never', workers={'start_timeout': 1})
    assert task.state == 'failed'
    assert 'not ready after 1 s' in task.deathinfo


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({}, 'missing required input: `f`'),
        ({'f': b'x', 's': 'z'}, "s -> value not in ['a', 'b']"),
        ({'f': b'x', 'z': 1, 'q': 2}, 'unknown inputs: q,z'),
        ({'f': b'x', 'n': '3'}, "value `'3'` is not a number"),
        ({'f': 'text'}, 'is not bytes'),
        ({'f': b'x', 'd': 'lol'}, 'is not a valid datetime'),
        ({'z': 1}, 'missing required input: `f`'),
    ],
)
def test_an_input_that_does_not_satisfy_the_declaration_is_refused(installation, given, message):
    """Scenario RW-16."""
    with pytest.raises((ValueError, TypeError)) as error:
        api.schedule(installation.dsn, 'typed', given)
    assert message in str(error.value)
    assert api.schedule(installation.dsn, 'double', 1).tid == 1, 'nothing was queued'


def test_defaults_are_filled_in_and_inputs_are_read_back(installation):
    """Scenario RW-17."""
    minimal = api.schedule(installation.dsn, 'typed', {'f': b'x'})
    assert minimal.input == {'f': b'x', 'n': 42}
    dated = api.schedule(installation.dsn, 'typed', {'f': b'x', 'd': '20 May 1973 09:00'})
    assert dated.input['d'].isoformat() == '1973-05-20T09:00:00'
    text = '(shifted (yearstart (date "2024-2-3 10:00")) #:months -1 #:hours 2)'
    shifted = api.schedule(installation.dsn, 'typed', {'f': b'x', 'm': text})
    assert shifted.input['m'].isoformat() == '2023-12-01T12:00:00'
    with pytest.raises(ValueError, match='not a valid moment expression'):
        api.schedule(installation.dsn, 'typed', {'f': b'x', 'm': 'lol'})
    with installation.workers(domain='other'):
        shifted.join(timeout=30)
    assert shifted.output['at'].isoformat() == '2023-12-01T12:00:00'


def test_only_declared_outputs_are_stored(installation):
    """Scenario RW-20."""
    good = api.schedule(installation.dsn, 'typed', {'f': b'hi'})
    bad = api.schedule(installation.dsn, 'undeclared')
    with installation.workers(domain='other'):
        good.join(timeout=30)
        bad.join(timeout=30)
    assert good.output == {'message': 'hi', 'k': 42}
    assert bad.state == 'failed'
    assert bad.traceback.endswith('unknown inputs: nope')


def test_raw_bytes_can_be_input_and_output(installation):
    """Scenario RW-21."""
    task = api.schedule(installation.dsn, 'raw', rawinputdata=b'Hello Babar')
    read = api.schedule(installation.dsn, 'reads_raw', rawinputdata=b'\x00\xff')
    with installation.workers():
        task.join(timeout=30)
        read.join(timeout=30)
    assert task.raw_output == b'Hello Babar and Celeste'
    with pytest.raises(TypeError, match='raw'):
        _ = task.input
    assert read.state == 'failed'
    assert 'raw_input' in read.traceback


def test_lines_and_log_records_are_captured(installation):
    """Scenario RW-22."""
    task = run(installation, 'logs')
    lines = [line for _, line in task.logs()]
    streams_and_texts = [(line.split(': ')[0], line.rpartition(': ')[2]) for line in lines]
    assert ('my_app_logger:INFO', 'this') in streams_and_texts
    assert not any('not this' in line for line in lines)
    assert ('stderr:WARNING', 'watch out') in streams_and_texts
    stdout = [text for stream, text in streams_and_texts if stream == 'stdout:INFO']
    assert stdout == ['ab', 'x', 'y', 'tail']
    first = task.logs()[0][0]
    assert task.logs(fromid=first) == task.logs()[1:]


def test_a_cron_rule_is_prepared_once_and_a_wrong_one_is_refused(installation):
    """Scenario RW-23."""
    rule = '0 15 8,12 * * *'
    first = api.prepare(installation.dsn, 'double', rule=rule, inputdata='x')
    again = api.prepare(installation.dsn, 'double', rule=rule, inputdata='x')
    assert first != again
    for wrong in ('0 99 8 * * *', '8 * * *', None):
        with pytest.raises((ReworkError, ValueError)):
            api.prepare(installation.dsn, 'double', rule=wrong)
    assert api.unprepare(installation.dsn, again) == 1
    assert api.unprepare(installation.dsn, again) == 0


def test_a_rule_of_every_second_is_refused(installation):
    """Scenario RW-26."""
    for wrong in ('* 0 8 * * *', ' * * * * * *'):
        with pytest.raises(Exception, match='every second'):
            api.prepare(installation.dsn, 'double', rule=wrong)
    assert api.prepare(installation.dsn, 'double', rule='*/5 * * * *')


def test_a_queued_task_that_is_aborted_never_runs(installation):
    """Scenario RW-30."""
    task = api.schedule(installation.dsn, 'double', 1)
    task.abort('too late')
    assert task.state == 'aborted'
    last = run(installation, 'double', 2)
    assert (last.output, task.output, task.state) == (4, None, 'aborted')
