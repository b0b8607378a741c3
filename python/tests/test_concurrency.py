"""Several runs of an async operation that are open at the same time in one process."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from rework import api
from rework.operation import registry
from test_monitor_scenarios import ALIVE, rows  # noqa: F401
from test_scenarios import until

OPERATIONS = Path(__file__).with_name('concurrent_operations.py')


@pytest.fixture
def installation(rework):
    rework.register(OPERATIONS)
    return rework


def texts(task, stream=None):
    found = [line.split(': ', 2) for _, line in task.logs()]
    return [text for head, _, text in found if stream in (None, head.partition(':')[0])]


def join(tasks, seconds=60):
    for task in tasks:
        task.join(timeout=seconds)


def test_lines_of_concurrent_runs_are_stored_under_their_own_tasks(installation, tmp_path):
    tasks = [api.schedule(installation.dsn, 'prints', str(tmp_path)) for _ in range(8)]
    with installation.workers(maxworkers=1):
        join(tasks)
    assert len({task.output for task in tasks}) == 1, 'one process'
    for task in tasks:
        tid = task.tid
        numbers = [f'{tid} {number}' for number in range(50)]
        assert texts(task, 'stdout') == [
            *(f'print {n}' for n in numbers),
            f'bytes {tid}',
            f'thread {tid}',
            f'no end of line {tid}',
        ]
        assert texts(task, 'stderr') == [f'err {n}' for n in numbers]
        assert texts(task, 'concurrent') == [f'log {n}' for n in numbers]


def test_a_line_without_its_newline_is_visible_and_is_one_line_in_the_end(installation, tmp_path, sql):
    gate = tmp_path / 'gate'
    task = api.schedule(installation.dsn, 'asks', str(gate))
    with installation.workers(maxworkers=1):
        until('the question is visible', lambda: texts(task, 'stdout') == ['name? '])
        until('the progress is visible', lambda: texts(task, 'stderr') == ['10 %'])
        gate.touch()
        task.join(timeout=30)
    assert texts(task, 'stdout') == ['name? Ada']
    assert texts(task, 'stderr') == ['100 %']
    written = sql('select stream, line, whole from rework.log_line where task = %s order by stream', task.tid)
    assert written == [('stderr', b'10 %\r100 %', False), ('stdout', b'name? Ada', True)]


def test_runs_start_up_to_the_declared_concurrency_and_the_next_when_one_ends(installation, tmp_path):
    gates = [tmp_path / str(n) for n in range(5)]
    tasks = [api.schedule(installation.dsn, 'waits', str(gate)) for gate in gates]
    with installation.workers(maxworkers=1):
        until('three run', lambda: sum(bool(task.logs()) for task in tasks) == 3)
        assert [task.state for task in tasks[3:]] == ['queued', 'queued']
        gates[1].touch()
        tasks[1].join(timeout=30)
        until('the fourth runs', lambda: tasks[3].logs())
        assert tasks[4].state == 'queued'
        for gate in gates:
            gate.touch()
        join(tasks)
    assert len({task.output for task in tasks}) == 1


def test_a_task_that_is_scheduled_later_joins_the_open_runs(installation, tmp_path):
    first = api.schedule(installation.dsn, 'waits', str(tmp_path / 'gate'))
    with installation.workers(maxworkers=1):
        until('it runs', lambda: first.logs())
        second = api.schedule(installation.dsn, 'waits', str(tmp_path / 'gate'))
        until('the second runs too', lambda: second.logs())
        (tmp_path / 'gate').touch()
        join([first, second])
    assert first.output == second.output


def test_concurrent_runs_end_independently(installation):
    behaviours = ('returns', 'fails', 'exits', 'interrupted')
    tasks = [api.schedule(installation.dsn, 'behaves', behaviour) for behaviour in behaviours]
    with installation.workers(maxworkers=1):
        join(tasks)
    assert [task.state for task in tasks] == ['done', 'failed', 'failed', 'failed']
    assert 'ValueError: oops' in tasks[1].traceback
    assert tasks[2].deathinfo == 'the operation raised SystemExit(7)'
    assert tasks[3].deathinfo == 'KeyboardInterrupt'
    assert all(texts(task) == ['started', 'cleaned up'] for task in tasks)


def test_an_aborted_run_cleans_up_and_the_others_continue(installation):
    waits, reads, stays = (
        api.schedule(installation.dsn, 'behaves', behaviour) for behaviour in ('waits', 'reads aborted', 'waits')
    )
    with installation.workers(maxworkers=1):
        until('all run', lambda: all(task.logs() for task in (waits, reads, stays)))
        waits.abort('enough')
        reads.abort('you too')
        join([waits, reads])
        assert stays.state == 'running'
        stays.abort()
        stays.join(timeout=30)
    assert [task.state for task in (waits, reads, stays)] == ['aborted'] * 3
    assert texts(waits) == ['started', 'cleaned up']
    assert texts(reads) == ['started', 'read: aborted you too', 'cleaned up']


def test_a_crash_ends_all_open_runs(installation):
    other = api.schedule(installation.dsn, 'behaves', 'waits')
    with installation.workers(maxworkers=1):
        until('it runs', lambda: other.logs())
        crashes = api.schedule(installation.dsn, 'behaves', 'crashes')
        join([crashes, other])
        after = api.schedule(installation.dsn, 'behaves', 'returns')
        after.join(timeout=30)
    assert [task.deathinfo for task in (crashes, other)] == ['exit code 3'] * 2
    assert after.state == 'done'


def test_an_aborted_run_that_blocks_the_loop_is_killed_and_the_others_are_lost(installation):
    other = api.schedule(installation.dsn, 'behaves', 'waits')
    with installation.workers(maxworkers=1):
        until('it runs', lambda: other.logs())
        blocks = api.schedule(installation.dsn, 'behaves', 'blocks')
        until('it blocks', lambda: blocks.logs())
        blocks.abort('stuck')
        join([blocks, other])
        after = api.schedule(installation.dsn, 'behaves', 'returns')
        after.join(timeout=30)
    assert (blocks.state, blocks.deathinfo) == ('aborted', 'aborted stuck')
    assert other.state == 'lost'
    assert other.deathinfo == f'its runner was killed: task {blocks.tid}, open in the same runner, did not stop'
    assert after.state == 'done'


def test_concurrent_runs_have_timeouts_of_their_own(installation):
    late, in_time = api.schedule(installation.dsn, 'slow', 60), api.schedule(installation.dsn, 'slow', 0)
    with installation.workers(maxworkers=1):
        join([late, in_time])
    assert (late.state, late.deathinfo) == ('failed', 'timed out after 1s')
    assert in_time.state == 'done'


def test_concurrent_runs_can_schedule_tasks(installation):
    tasks = [
        api.schedule(installation.dsn, 'behaves', behaviour)
        for behaviour in ('schedules', 'schedules in a thread', 'schedules')
    ]
    with installation.workers(maxworkers=1):
        join(tasks)
        children = [api.Task.byid(installation.dsn, child) for task in tasks for child in task.output]
        assert len({child.tid for child in children}) == 5
        join(children)
    assert [child.state for child in children] == ['done'] * 5


def test_output_that_bypasses_python_is_stored_for_all_open_runs(installation):
    tasks = [api.schedule(installation.dsn, 'bypasses_python') for _ in range(4)]
    with installation.workers(maxworkers=1):
        join(tasks)
    for task in tasks:
        shared = texts(task, 'shared')
        assert f'written by {task.tid}' in shared
        assert f'a child of {task.tid}' in shared


def test_a_thousand_short_concurrent_runs_all_succeed(installation):
    tasks = [api.schedule(installation.dsn, 'quick') for _ in range(1000)]
    with installation.workers(maxworkers=2):
        join(tasks)
    for task in tasks:
        assert task.state == 'done'
        assert texts(task) == [f'quick {task.tid}']


def test_a_function_that_is_not_async_cannot_have_concurrency():
    with pytest.raises(TypeError, match='`concurrency` is for `async` functions, and `plain`'):

        @api.task(concurrency=2)
        def plain(task):
            pass


def test_a_grace_period_may_be_zero_but_a_timeout_may_not():
    @api.task(grace='0s')
    def at_once(task):
        pass

    operation = registry.pop(('default', 'at_once'))
    assert operation.definition()['limits']['grace_ms'] == 0
    with pytest.raises(ValueError, match='`timeout`: .* is too short'):
        api.task(timeout='0s')


def test_a_task_has_the_priority_of_its_operation_by_default(installation, rows):
    plain, urgent = api.schedule(installation.dsn, 'plain'), api.schedule(installation.dsn, 'urgent')
    late = api.schedule(installation.dsn, 'urgent', priority=-1)
    with installation.workers(maxworkers=1):
        join([plain, urgent, late])
    assert rows('select id from rework.task order by started_at') == [(task.tid,) for task in (urgent, plain, late)]


def test_a_worker_that_shuts_down_waits_for_all_open_runs(installation, rows, tmp_path):
    tasks = [api.schedule(installation.dsn, 'waits', str(tmp_path / 'gate')) for _ in range(2)]
    with installation.workers(maxworkers=1):
        until('both run', lambda: all(task.logs() for task in tasks))
        ((pid,),) = rows(ALIVE)
        os.kill(pid, signal.SIGTERM)
        late = api.schedule(installation.dsn, 'waits', str(tmp_path / 'gate'))
        tasks[0].join('running', timeout=30)
        (tmp_path / 'gate').touch()
        join([*tasks, late])
    assert [task.state for task in (*tasks, late)] == ['done'] * 3
    assert tasks[0].output == tasks[1].output
    assert tasks[0].worker == tasks[1].worker


def test_runs_that_had_not_started_when_the_process_died_are_requeued(installation, tmp_path):
    gate = str(tmp_path / 'gate')
    first = api.schedule(installation.dsn, 'first_blocks_then_exits', gate)
    with installation.workers(maxworkers=1):
        until('it has started', lambda: os.path.exists(gate))
        # The other tasks are scheduled only when the loop is blocked.
        first.join('running', timeout=30)
        until('it blocks', lambda: not first.logs() and first.state == 'running')
        others = [api.schedule(installation.dsn, 'first_blocks_then_exits', gate) for _ in range(5)]
        join([first, *others])
    assert first.deathinfo == 'exit code 3'
    ends = {(task.state, task.output) for task in others}
    # Runs that started before the loop was blocked fail too. The others run again, at their first attempt.
    assert ends <= {('done', 1), ('failed', None)}
    assert ('done', 1) in ends


def test_objects_that_print_when_they_are_collected_cause_no_deadlock(installation):
    tasks = [api.schedule(installation.dsn, 'creates_garbage') for _ in range(2)]
    with installation.workers(maxworkers=1):
        join(tasks)
    for task in tasks:
        lines = [text for text in texts(task, 'stdout') if text.startswith('line')]
        assert lines == [f'line {number}' for number in range(3000)]


def test_a_forked_child_ends_and_its_output_is_kept(installation):
    tasks = [api.schedule(installation.dsn, 'forks') for _ in range(3)]
    with installation.workers(maxworkers=1):
        join(tasks)
    assert [task.state for task in tasks] == ['done'] * 3
    assert len({task.output for task in tasks}) == 1
    for task in tasks:
        assert texts(task, 'stdout') == ['from the parent']
        assert 'from a child that returns' in texts(task, 'shared')


def test_an_asyncio_task_that_exits_ends_all_open_runs(installation):
    stays = api.schedule(installation.dsn, 'child_task_exits', 'stays')
    with installation.workers(maxworkers=1):
        until('it runs', lambda: stays.logs())
        exits = api.schedule(installation.dsn, 'child_task_exits')
        join([stays, exits])
    assert [task.deathinfo for task in (stays, exits)] == ['exit code 4'] * 2
    assert any('SystemExit' in text for text in texts(stays))


def test_a_new_version_of_the_module_waits_for_open_runs(rework, tmp_path):
    module, gate = tmp_path / 'versions.py', tmp_path / 'gate'
    text = (
        'import asyncio, os\nfrom rework import api\n@api.task(concurrency=3)\nasync def version(task):\n'
        "    print('started')\n    while not os.path.exists(task.input): await asyncio.sleep(0.02)\n"
        "    task.save_output('one')\n"
    )
    module.write_text(text)
    rework.register(module)
    old = api.schedule(rework.dsn, 'version', str(gate))
    with rework.workers(maxworkers=1):
        until('it runs', lambda: old.logs())
        other = tmp_path / 'next.py'
        other.write_text(text.replace('one', 'two'))
        shutil.move(other, module)
        rework.register(module)
        new = api.schedule(rework.dsn, 'version', str(gate))
        gate.touch()
        join([old, new])
    assert (old.output, new.output) == ('one', 'two')
