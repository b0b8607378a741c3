"""The helpers of `rework.testing` for users who test their own operations."""

import os
import subprocess
import sys

import pytest

import operations
from rework import io
from rework.testing import FakeTask, call

#: The files of a user: a module with an operation, and its test.
MODULE = """\
from rework import api

@api.task
def double(task):
    task.save_output(task.input * 2)
"""
TEST = """\
from rework import api

def test_for_real(rework):
    rework.register('ops.py')
    with rework.workers():
        task = api.schedule(rework.dsn, 'double', 21)
        task.join(timeout=60)
    assert task.output == 42
"""


def test_call_runs_an_operation_in_this_process():
    assert call(operations.double, 'ab').output == 'abab'
    assert call(operations.waits).output == 'waited'


def test_call_raises_what_the_operation_raises():
    with pytest.raises(ValueError, match='oops'):
        call(operations.boom)


def test_call_validates_declared_inputs():
    task = call(operations.typed, {'f': b'x'})
    assert task.input == {'f': b'x', 'n': 42}
    assert task.output == {'message': 'x', 'k': 42}
    with pytest.raises(ValueError, match='missing required input: `f`'):
        call(operations.typed, {})


def test_call_passes_and_saves_raw_bytes():
    task = call(operations.raw, rawinputdata=b'Babar')
    assert task.raw_output == b'Babar and Celeste'


def test_a_fake_task_records_what_the_operation_schedules():
    task = call(operations.parent, {'when': 7})
    assert [one.operation for one in task.scheduled] == ['double']
    assert task.scheduled[0].input == {'when': 7}


def test_a_fake_task_can_be_aborted_from_the_start():
    task = call(operations.cleans_up, aborted='enough')
    assert task.progressed == [{'done': 1, 'total': 2, 'message': 'waiting'}]
    assert (task.state, task.abort_reason) == ('aborting', 'enough')


def test_call_refuses_a_function_that_is_not_an_operation():
    with pytest.raises(TypeError, match='is not an operation'):
        call(print)


def test_call_can_choose_the_attempt():
    assert call(operations.flaky, attempt=3).output == 3
    with pytest.raises(OSError, match='not yet'):
        call(operations.flaky)


def test_the_fixture_starts_a_private_server(tmp_path):
    (tmp_path / 'ops.py').write_text(MODULE)
    (tmp_path / 'test_ops.py').write_text(TEST)
    env = {name: value for name, value in os.environ.items() if name != 'REWORK_TEST_DSN'}
    pytests = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
    if 'REWORK_TEST_WHEEL' not in env:
        pytests += ['-p', 'rework.testing']
    done = subprocess.run(
        [*pytests, 'test_ops.py'],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '1 passed' in done.stdout


def test_a_fake_task_has_the_attributes_of_its_operation():
    task = FakeTask(operations_of('noinput'), {})
    assert (task.tid, task.domain, task.attempt) == (1, 'default', 1)
    assert task.input == {}
    assert isinstance(operations_of('typed').inputs[0], io.file)


def operations_of(name):
    from rework.operation import registry

    return next(operation for operation in registry.values() if operation.name == name)
