"""The availability of operations: a function answers whether the host can run them now."""

import pytest

from rework import api
from rework.operation import registry
from rework.runner.availability import reason_of
from test_scenarios import until

MODULE = """
import asyncio, os
from pathlib import Path
from rework import api

HERE = Path(__file__).parent

def gate_is_open():
    print('this is not in the log of a task')
    return True if (HERE / 'gate').exists() else 'there is no gate'

async def gate_is_open_later():
    await asyncio.sleep(0)
    if not (HERE / 'gate').exists():
        raise FileNotFoundError('no gate')
    return True

def ends_the_process():
    if not (HERE / 'gate').exists():
        os._exit(5)
    return True

@api.task(available=gate_is_open)
def scarce(task):
    print('scarce')
    task.save_output(task.input)

@api.task(available=gate_is_open_later)
async def scarce_later(task):
    task.save_output(task.input)

@api.task(available=ends_the_process)
def fragile(task):
    pass

def is_calm():
    with open(HERE / 'calls', 'a') as calls:
        calls.write('x\\n')
    return not (HERE / 'storm').exists()

@api.task(available=is_calm, concurrency=2)
async def sails(task):
    print('sailing')
    while not (HERE / str(task.input)).exists():
        await asyncio.sleep(0.01)
"""


@pytest.fixture
def folder(rework, tmp_path):
    """Return a folder with the registered module. The checks read files in it."""
    module = tmp_path / 'availability_operations.py'
    module.write_text(MODULE)
    rework.register(module)
    return tmp_path


def queued_again(task, reason, sql):
    """Wait until a task is queued again for this reason, and check that it has used up no attempt."""

    def is_queued():
        rows = sql('select state, run, attempt, reason from rework.task where id = %s', task.tid)
        state, run, attempt, found = rows[0]
        assert state in ('queued', 'running'), found
        if state != 'queued' or run == 0:
            return False
        assert attempt == 0
        return reason in (found or '')

    until(f'task {task.tid} is queued again: {reason}', is_queued)


@pytest.mark.parametrize(
    ('operation', 'reason'),
    [
        ('scarce', 'not available on this host: there is no gate'),
        ('scarce_later', 'not available on this host: FileNotFoundError: no gate'),
        ('fragile', 'its check ended its runner: exit code 5'),
    ],
)
def test_a_task_stays_queued_until_its_operation_is_available(rework, folder, sql, operation, reason):
    task = api.schedule(rework.dsn, operation, 7)
    with rework.workers(maxworkers=1):
        queued_again(task, reason, sql)
        (folder / 'gate').touch()
        task.join(timeout=30)
    assert task.state == 'done'
    lines = [line.rpartition(': ')[2] for _, line in task.logs()]
    assert lines == (['scarce'] if operation == 'scarce' else [])


def test_runs_that_are_open_at_the_same_time_are_not_disturbed_by_a_check(rework, folder, sql):
    def calls():
        return len((folder / 'calls').read_text().splitlines())

    first = api.schedule(rework.dsn, 'sails', 'port')
    with rework.workers(maxworkers=1):
        until('the first task runs', lambda: first.logs())
        (folder / 'storm').touch()
        # The first answer is valid for a second, so further tasks may start too.
        others = []
        (folder / 'shore').touch()

        def waiting():
            """Return the task that waits because of the check. Schedule another one if all were claimed."""
            if not others or others[-1].state in ('running', 'done'):
                others.append(api.schedule(rework.dsn, 'sails', 'shore'))
            rows = sql("select id from rework.task where state = 'queued' and reason like '%its check returned False'")
            return [task for task in others if (task.tid,) in rows]

        until('a further task waits', waiting)
        assert first.state == 'running', first.deathinfo
        checks = calls()
        (folder / 'storm').unlink()
        for task in others:
            task.join(timeout=30)
        assert first.state == 'running', first.deathinfo
        assert calls() > checks
        (folder / 'port').touch()
        first.join(timeout=30)
    for task in (first, *others):
        task.join(timeout=30)
        assert task.state == 'done', task.deathinfo


def test_the_answer_of_a_check_is_true_or_a_reason():
    assert reason_of(True) is None
    assert reason_of(False) == 'its check returned False'
    assert reason_of(' no display ') == 'no display'
    assert reason_of('') == 'its check returned an empty text'
    assert reason_of(None) == 'its check returned None, which is not True, False or a text'


def test_a_check_is_a_function():
    with pytest.raises(TypeError, match='`available` must be a function, not True'):

        @api.task(available=True)
        def wrong(task):
            """Do nothing."""

    @api.task(domain='availability', available=bool)
    def right(task):
        """Do nothing."""

    operation = registry.pop(('availability', 'right'))
    assert operation.definition()['available'] == 'bool'
