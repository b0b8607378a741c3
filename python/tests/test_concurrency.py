"""Several runs of an async operation, open at once in one process: each has its own lines and its own end."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from test_scenarios import until
from test_scenarios_of_monitors import ALIVE, rows  # noqa: F401

from rework import api
from rework.operation import registry

TOGETHER = Path(__file__).with_name('together.py')


@pytest.fixture
def place(rework):
    rework.register(TOGETHER)
    return rework


def texts(task, stream=None):
    found = [line.split(': ', 2) for _, line in task.logs()]
    return [text for head, _, text in found if stream in (None, head.partition(':')[0])]


def join(tasks, seconds=60):
    for task in tasks:
        task.join(timeout=seconds)


def test_eight_at_once_each_line_under_its_own(place, tmp_path):
    tasks = [api.schedule(place.dsn, 'talks', str(tmp_path)) for _ in range(8)]
    with place.workers(maxworkers=1):
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
        assert texts(task, 'together') == [f'log {n}' for n in numbers]


def test_no_more_at_once_than_declared_and_the_next_at_once(place, tmp_path):
    gates = [tmp_path / str(n) for n in range(5)]
    tasks = [api.schedule(place.dsn, 'waits', str(gate)) for gate in gates]
    with place.workers(maxworkers=1):
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


def test_one_that_comes_later_joins_those_that_run(place, tmp_path):
    first = api.schedule(place.dsn, 'waits', str(tmp_path / 'gate'))
    with place.workers(maxworkers=1):
        until('it runs', lambda: first.logs())
        second = api.schedule(place.dsn, 'waits', str(tmp_path / 'gate'))
        until('the second runs beside it', lambda: second.logs())
        (tmp_path / 'gate').touch()
        join([first, second])
    assert first.output == second.output


def test_each_has_its_own_end(place):
    ways = ('returns', 'fails', 'exits', 'interrupted')
    tasks = [api.schedule(place.dsn, 'behaves', way) for way in ways]
    with place.workers(maxworkers=1):
        join(tasks)
    assert [task.state for task in tasks] == ['done', 'failed', 'failed', 'failed']
    assert 'ValueError: oops' in tasks[1].traceback
    assert tasks[2].deathinfo == 'it asked to exit with 7'
    assert tasks[3].deathinfo == 'KeyboardInterrupt'
    assert all(texts(task) == ['begun', 'cleaned up'] for task in tasks)


def test_one_is_aborted_and_cleans_up_and_the_others_go_on(place):
    waits, asks, stays = (
        api.schedule(place.dsn, 'behaves', way) for way in ('waits', 'asks', 'waits')
    )
    with place.workers(maxworkers=1):
        until('all run', lambda: all(task.logs() for task in (waits, asks, stays)))
        waits.abort('enough')
        asks.abort('you too')
        join([waits, asks])
        assert stays.state == 'running'
        stays.abort()
        stays.join(timeout=30)
    assert [task.state for task in (waits, asks, stays)] == ['aborted'] * 3
    assert texts(waits) == ['begun', 'cleaned up']
    assert texts(asks) == ['begun', 'asked: aborted you too', 'cleaned up']


def test_a_crash_is_the_end_of_all(place):
    beside = api.schedule(place.dsn, 'behaves', 'waits')
    with place.workers(maxworkers=1):
        until('it runs', lambda: beside.logs())
        crashes = api.schedule(place.dsn, 'behaves', 'crashes')
        join([crashes, beside])
        after = api.schedule(place.dsn, 'behaves', 'returns')
        after.join(timeout=30)
    assert [task.deathinfo for task in (crashes, beside)] == ['exit code 3'] * 2
    assert after.state == 'done'


def test_one_that_blocks_the_loop_is_killed_and_the_others_are_lost(place):
    beside = api.schedule(place.dsn, 'behaves', 'waits')
    with place.workers(maxworkers=1):
        until('it runs', lambda: beside.logs())
        blocks = api.schedule(place.dsn, 'behaves', 'blocks')
        until('it blocks', lambda: blocks.logs())
        blocks.abort('stuck')
        join([blocks, beside])
        after = api.schedule(place.dsn, 'behaves', 'returns')
        after.join(timeout=30)
    assert (blocks.state, blocks.deathinfo) == ('aborted', 'aborted stuck')
    assert beside.state == 'lost'
    assert beside.deathinfo == (
        f'its runner was killed: task {blocks.tid}, open beside it, did not end'
    )
    assert after.state == 'done'


def test_each_has_its_own_time(place):
    late, in_time = api.schedule(place.dsn, 'slow', 60), api.schedule(place.dsn, 'slow', 0)
    with place.workers(maxworkers=1):
        join([late, in_time])
    assert (late.state, late.deathinfo) == ('failed', 'timed out after 1s')
    assert in_time.state == 'done'


def test_tasks_schedule_tasks(place):
    tasks = [
        api.schedule(place.dsn, 'behaves', way)
        for way in ('schedules', 'schedules in a thread', 'schedules')
    ]
    with place.workers(maxworkers=1):
        join(tasks)
        children = [api.Task.byid(place.dsn, child) for task in tasks for child in task.output]
        assert len({child.tid for child in children}) == 5
        join(children)
    assert [child.state for child in children] == ['done'] * 5


def test_what_is_written_past_the_sdk_is_everybodys(place):
    tasks = [api.schedule(place.dsn, 'past_the_sdk') for _ in range(4)]
    with place.workers(maxworkers=1):
        join(tasks)
    for task in tasks:
        shared = texts(task, 'shared')
        assert f'written by {task.tid}' in shared
        assert f'a child of {task.tid}' in shared


def test_a_thousand_short_ones(place):
    tasks = [api.schedule(place.dsn, 'quick') for _ in range(1000)]
    with place.workers(maxworkers=2):
        join(tasks)
    for task in tasks:
        assert task.state == 'done'
        assert texts(task) == [f'quick {task.tid}']


def test_a_plain_function_has_no_concurrency():
    with pytest.raises(TypeError, match='`concurrency` is for `async` functions, and `plain`'):

        @api.task(concurrency=2)
        def plain(task):
            pass


def test_a_grace_may_be_none_and_a_timeout_may_not():
    @api.task(grace='0s')
    def at_once(task):
        pass

    operation = registry.pop(('default', 'at_once'))
    assert operation.definition()['limits']['grace_ms'] == 0
    with pytest.raises(ValueError, match='`timeout`: .* is no time at all'):
        api.task(timeout='0s')


def test_the_priority_of_an_operation_is_that_of_its_tasks(place, rows):
    plain, urgent = api.schedule(place.dsn, 'plain'), api.schedule(place.dsn, 'urgent')
    late = api.schedule(place.dsn, 'urgent', priority=-1)
    with place.workers(maxworkers=1):
        join([plain, urgent, late])
    assert rows('select id from rework.task order by started_at') == [
        (task.tid,) for task in (urgent, plain, late)
    ]


def test_a_worker_that_leaves_waits_for_all_that_are_open(place, rows, tmp_path):
    tasks = [api.schedule(place.dsn, 'waits', str(tmp_path / 'gate')) for _ in range(2)]
    with place.workers(maxworkers=1):
        until('both run', lambda: all(task.logs() for task in tasks))
        ((pid,),) = rows(ALIVE)
        os.kill(pid, signal.SIGTERM)
        late = api.schedule(place.dsn, 'waits', str(tmp_path / 'gate'))
        tasks[0].join('running', timeout=30)
        (tmp_path / 'gate').touch()
        join([*tasks, late])
    assert [task.state for task in (*tasks, late)] == ['done'] * 3
    assert tasks[0].output == tasks[1].output
    assert tasks[0].worker == tasks[1].worker


def test_what_had_not_begun_when_the_process_died_runs_again(place, tmp_path):
    gate = str(tmp_path / 'gate')
    first = api.schedule(place.dsn, 'first_blocks_then_exits', gate)
    with place.workers(maxworkers=1):
        until('it has begun', lambda: os.path.exists(gate))
        # So late that the loop is blocked when they come.
        first.join('running', timeout=30)
        until('it blocks', lambda: not first.logs() and first.state == 'running')
        others = [api.schedule(place.dsn, 'first_blocks_then_exits', gate) for _ in range(5)]
        join([first, *others])
    assert first.deathinfo == 'exit code 3'
    ends = {(task.state, task.output) for task in others}
    # Those that began before it blocked share its end; the others are at their first attempt.
    assert ends <= {('done', 1), ('failed', None)}
    assert ('done', 1) in ends


def test_garbage_that_prints_does_not_hang_it(place):
    tasks = [api.schedule(place.dsn, 'litters') for _ in range(2)]
    with place.workers(maxworkers=1):
        join(tasks)
    for task in tasks:
        lines = [text for text in texts(task, 'stdout') if text.startswith('line')]
        assert lines == [f'line {number}' for number in range(3000)]


def test_a_forked_child_ends_and_its_words_are_kept(place):
    tasks = [api.schedule(place.dsn, 'forks') for _ in range(3)]
    with place.workers(maxworkers=1):
        join(tasks)
    assert [task.state for task in tasks] == ['done'] * 3
    assert len({task.output for task in tasks}) == 1
    for task in tasks:
        assert texts(task, 'stdout') == ['from the parent']
        assert 'from a child that comes back' in texts(task, 'shared')


def test_a_task_within_that_exits_is_the_end_of_all(place):
    stays = api.schedule(place.dsn, 'child_task_exits', 'stays')
    with place.workers(maxworkers=1):
        until('it runs', lambda: stays.logs())
        exits = api.schedule(place.dsn, 'child_task_exits')
        join([stays, exits])
    assert [task.deathinfo for task in (stays, exits)] == ['exit code 4'] * 2
    assert any('SystemExit' in text for text in texts(stays))


def test_a_new_version_waits_for_those_that_run(rework, tmp_path):
    module, gate = tmp_path / 'versions.py', tmp_path / 'gate'
    text = (
        'import asyncio, os\nfrom rework import api\n@api.task(concurrency=3)\nasync def version(task):\n'
        "    print('begun')\n    while not os.path.exists(task.input): await asyncio.sleep(0.02)\n"
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
