"""The scenarios of the original rework that are about monitors and the command line, with their numbers."""

import os
import re
import signal

import pytest
from test_scenarios import OPERATIONS, lives, until

from rework import api, binary


@pytest.fixture
def place(rework):
    rework.register(OPERATIONS)
    return rework


@pytest.fixture
def rows(place):
    import psycopg

    with psycopg.connect(place.dsn, autocommit=True) as db:
        yield lambda sql: db.execute(sql).fetchall()


ALIVE = 'select pid from rework.worker where finished_at is null and pid is not null'


def test_a_busy_worker_finishes_its_task_after_its_monitor_was_killed(place, rows):
    """Scenario RW-9."""
    task = api.schedule(place.dsn, 'sleep', 3)
    with place.workers(minworkers=2, maxworkers=2) as workers:
        task.join('running', timeout=30)
        until('both workers are up', lambda: len(rows(ALIVE)) == 2)
        pids = [pid for (pid,) in rows(ALIVE)]
        os.kill(workers.pid, signal.SIGKILL)
        task.join(timeout=30)
        assert task.state == 'done'
        until('all are gone', lambda: not any(map(lives, pids)))


def test_sigterm_aborts_tasks_when_the_grace_is_over(place, rows):
    """Scenario RW-10."""
    task = api.schedule(place.dsn, 'forever', 'with a child')
    with place.workers() as workers:
        # One that has not begun goes back to the queue.
        until('it has begun', lambda: task.output)
        os.kill(workers.pid, signal.SIGTERM)
        task.join(timeout=60)
    assert task.state == 'aborted'
    assert rows(ALIVE) == []


def test_a_pool_grows_by_what_waits_and_shrinks_one_by_one(place, rows):
    """Scenario RW-11."""
    def workers_are(count):
        return lambda: len(rows(ALIVE)) == count

    with place.workers(minworkers=1, maxworkers=4):
        until('one is there', workers_are(1))
        tasks = [api.schedule(place.dsn, 'forever')]
        tasks[0].join('running', timeout=30)
        tasks += [api.schedule(place.dsn, 'forever') for _ in range(2)]
        until('three are there', workers_are(3))
        tasks += [api.schedule(place.dsn, 'forever') for _ in range(2)]
        until('four run', lambda: sum(task.state == 'running' for task in tasks) == 4)
        assert len(rows(ALIVE)) == 4
        for task in tasks:
            task.abort('enough')
        for task in tasks:
            task.join(timeout=30)
        until('one is left', workers_are(1), seconds=60)


def test_a_pool_may_be_empty(place, rows):
    """Scenario RW-12."""
    with place.workers(minworkers=0, maxworkers=4):
        assert rows(ALIVE) == []
        tasks = [api.schedule(place.dsn, 'sleep', 1) for _ in range(6)]
        for task in tasks:
            task.join(timeout=30)
        assert len({task.worker for task in tasks}) > 1
        until('none is left', lambda: rows(ALIVE) == [], seconds=60)


def test_vacuum_deletes_only_the_tasks_that_were_named(place):
    """Scenario RW-27."""
    ended = [api.schedule(place.dsn, 'double', n) for n in range(3)]
    with place.workers(maxworkers=2):
        for task in ended:
            task.join(timeout=30)
        running = api.schedule(place.dsn, 'forever')
        running.join('running', timeout=30)
        api.schedule(place.dsn, 'other_dom')

        def vacuum(*words):
            return binary.run(place.dsn, ['vacuum', *words]).strip()

        assert vacuum('--tasks', '--days', '1') == 'deleted 0 tasks'
        assert vacuum('--tasks') == 'deleted 3 tasks'
        assert vacuum('--tasks', '--queued', '--domain', 'nondefault') == 'deleted 1 tasks'
        running.abort('over')


def test_lists_show_the_facts_of_each_row(place):
    """Scenario RW-31."""
    task = api.schedule(place.dsn, 'double', 1)
    listed = binary.run(place.dsn, ['list-tasks'])
    assert re.fullmatch(r'1 double queued domain=default \[\d{4}-\d\d-\d\d [^]]+\]\s*', listed)
    with place.workers():
        task.join(timeout=30)
        workers = binary.run(place.dsn, ['list-workers'])
        monitors = binary.run(place.dsn, ['list-monitors'])
    assert re.match(r'1 \d+@\S+ \d+ Mb \d+% \[running', workers)
    assert 'maxworkers=1' in monitors
    assert binary.run(place.dsn, ['list-tasks', '--domain', 'nosuch']) == ''


def test_schedules_are_exported_and_imported(place, tmp_path):
    """Scenario RW-32."""
    for n in range(4):
        given = {'n': n}
        api.prepare(place.dsn, 'double', rule='0 8 * * *', inputdata=given, metadata={'by': 'me'})
    path = tmp_path / 'rework.sched'
    exported = binary.run(place.dsn, ['export-scheduled', '--path', str(path)])
    assert exported.startswith('saved 4 entries into ')
    before = binary.run(place.dsn, ['list-scheduled', '-o', 'json'])

    ids = re.findall(r'"id": ?(\d+)', before)
    for sid in set(ids):
        api.unprepare(place.dsn, int(sid))
    assert binary.run(place.dsn, ['import-scheduled', '--path', str(path)]).startswith('loaded 4')
    after = binary.run(place.dsn, ['list-scheduled', '-o', 'json'])

    def told(text):
        return sorted(re.findall(r'"(?:input|metadata|rule)": ?[^,}]+', text))

    assert told(after) == told(before)
