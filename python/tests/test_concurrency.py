"""Several runs of an async operation, open at once in one process: each has its own lines and its own end."""

from pathlib import Path

import pytest
from test_rw import until
from test_rw_monitor import rows  # noqa: F401

from rework import api

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


def test_the_priority_of_an_operation_is_that_of_its_tasks(place, rows):
    plain, urgent = api.schedule(place.dsn, 'plain'), api.schedule(place.dsn, 'urgent')
    late = api.schedule(place.dsn, 'urgent', priority=-1)
    with place.workers(maxworkers=1):
        join([plain, urgent, late])
    assert rows('select id from rework.task order by started_at') == [
        (task.tid,) for task in (urgent, plain, late)
    ]
