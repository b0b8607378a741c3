"""The runner for Python: its log lines, retries, aborts, forks, and new versions of a module."""

import os
import shutil
from pathlib import Path

import pytest

from rework import api, binary
from rework.errors import ReworkError
from test_scenarios import OPERATIONS, run, until

SOAK = 'REWORK_SOAK' in os.environ


@pytest.fixture
def installation(rework):
    rework.register(OPERATIONS)
    return rework


def test_lines_of_each_origin_are_complete_and_in_order(installation):
    count = 100_000 if SOAK else 4000
    task = run(installation, 'mixed', count)
    assert task.state == 'done', task.deathinfo
    texts = [line.rpartition(': ')[2] for _, line in task.logs()]
    expected = [n for start in range(0, count, 100) for n in range(start, start + 25)]
    for origin in ('print', 'log', 'write', 'child'):
        numbers = [int(text.split()[1]) for text in texts if text.startswith(f'{origin} ')]
        assert numbers == expected, origin


def test_each_line_is_stored_under_its_own_task(installation):
    tasks = [api.schedule(installation.dsn, 'says_its_id') for _ in range(1000)]
    with installation.workers():
        for task in tasks:
            task.join(timeout=60)
    for task in tasks:
        assert [line.rpartition(' ')[2] for _, line in task.logs()] == [str(task.tid)]


def test_warnings_are_kept_in_the_log(installation):
    task = run(installation, 'warns')
    lines = [line for _, line in task.logs()]
    assert any(line.startswith('stderr:WARNING: ') and 'UserWarning: take care' in line for line in lines)


def test_an_async_operation_runs(installation):
    assert run(installation, 'waits').output == 'waited'


def test_an_operation_that_reads_aborted_may_clean_up(installation):
    task = api.schedule(installation.dsn, 'cleans_up')
    with installation.workers():
        until('it waits', lambda: task.progress)
        task.abort('enough')
        task.join(timeout=30)
    assert task.state == 'aborted'
    assert [line.rpartition('up: ')[2] for _, line in task.logs()] == ['aborted enough']


def test_a_failing_task_is_retried_up_to_its_attempts(installation):
    assert run(installation, 'flaky').output == 3


def test_a_task_schedules_another(installation):
    task = api.schedule(installation.dsn, 'parent', 21)
    with installation.workers():
        task.join(timeout=30)
        child = api.Task.byid(installation.dsn, task.output)
        child.join(timeout=30)
    assert child.output == 42


def test_a_forked_child_ends_like_a_program_of_its_own(installation):
    task = run(installation, 'forks')
    assert (task.state, task.output) == ('done', [0, 7, 1])
    texts = [line.rpartition(': ')[2] for _, line in task.logs()]
    from_children = [f'from the child that {behaviour}' for behaviour in ('returns', 'exits', 'fails')]
    assert [text for text in texts if text.startswith('from')] == [*from_children, 'from the parent']
    assert 'in the child' in texts


def test_the_next_task_runs_the_new_version_of_the_module(installation, tmp_path):
    module, other = tmp_path / 'versions.py', tmp_path / 'next.py'
    text = (
        'import time\nfrom rework import api\n@api.task\ndef version(task):\n'
        "    print('started')\n"
        "    while task.input and not __import__('os').path.exists(task.input): time.sleep(0.02)\n"
        "    task.save_output('one')\n"
    )
    module.write_text(text)
    installation.register(module)
    gate = tmp_path / 'gate'
    old = api.schedule(installation.dsn, 'version', str(gate))
    with installation.workers():
        until('it runs', lambda: old.logs())
        other.write_text(text.replace('one', 'two'))
        shutil.move(other, module)
        gate.touch()
        old.join(timeout=30)
        new = api.schedule(installation.dsn, 'version')
        new.join(timeout=30)
    assert (old.output, new.output) == ('one', 'two')


def test_a_module_in_a_package_may_use_relative_imports(rework, tmp_path):
    package = tmp_path / 'jobs'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'helper.py').write_text('WORD = "relative"\n')
    (package / 'tasks.py').write_text(
        'from rework import api\nfrom .helper import WORD\n@api.task\ndef word(task):\n    task.save_output(WORD)\n'
    )
    rework.register(package / 'tasks.py')
    assert run(rework, 'word').output == 'relative'


def test_an_import_that_fails_after_registration_is_reported_with_its_cause(rework, tmp_path):
    module = tmp_path / 'broken.py'
    module.write_text('from rework import api\n@api.task\ndef once(task): pass\n')
    rework.register(module)
    Path(module).write_text('import no_such_module\n')
    task = run(rework, 'once')
    assert task.state == 'failed'
    assert 'cannot be loaded' in task.deathinfo
    assert 'no_such_module' in task.deathinfo


def test_a_module_with_a_syntax_error_is_refused(rework, tmp_path):
    module = tmp_path / 'wrong.py'
    module.write_text('def double(task)\n    pass\n')
    with pytest.raises(ReworkError) as refused:
        rework.register(module)
    assert str(module) in refused.value.message
    assert 'SyntaxError' in refused.value.message
    assert 'check that it can import the module' in refused.value.hint


def test_a_module_without_operations_registers_none(rework, tmp_path):
    module = tmp_path / 'empty.py'
    module.write_text('print("imported")\n')
    rework.register(module)


def test_a_missing_interpreter_is_refused(rework, tmp_path):
    with pytest.raises(ReworkError, match='no Python interpreter at'):
        rework.register(OPERATIONS, python=str(tmp_path / 'bin/python'))


def test_a_thread_that_outlives_its_run_does_not_disturb_other_runs(installation):
    first = api.schedule(installation.dsn, 'leaves_a_thread')
    others = [api.schedule(installation.dsn, 'says_its_id') for _ in range(200)]
    last = api.schedule(installation.dsn, 'pid')
    with installation.workers():
        last.join(timeout=60)
    assert first.output == last.output, 'one process ran them all'
    for task in others:
        assert f'this is {task.tid}' in [line.rpartition(': ')[2] for _, line in task.logs()]


def test_the_command_line_has_an_option_for_each_declared_input(installation, tmp_path):
    photo = tmp_path / 'photo'
    photo.write_bytes(b'\x00\xff')
    help = binary.run(installation.dsn, ['schedule', 'typed', '--domain', 'other', '--help'])
    assert ['--f', '@FILE', '[required]'] in [line.split() for line in help.splitlines()]
    given = ['--f', f'@{photo}', '--n', '7', '--d', '20 May 1973']
    tid = binary.run(installation.dsn, ['schedule', 'typed', '--domain', 'other', *given])
    task = api.Task.byid(installation.dsn, int(tid))
    assert task.input['f'] == b'\x00\xff'
    assert (task.input['n'], task.input['d'].year) == (7, 1973)
    with pytest.raises(ReworkError, match='no-such'):
        binary.run(installation.dsn, ['schedule', 'typed', '--domain', 'other', '--f', '@no-such'])


def test_an_exception_with_an_odd_and_long_message_is_stored(installation):
    task = run(installation, 'says_odd_things')
    assert task.state == 'failed'
    assert task.deathinfo.startswith('ValueError: caf? long')
