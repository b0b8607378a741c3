"""The scenarios of rework 0.17 that are about monitors and the command line, with their numbers."""

import os
import re
import signal

import pytest

from rework import api, binary
from test_scenarios import OPERATIONS, is_alive, until


@pytest.fixture
def installation(rework):
    rework.register(OPERATIONS)
    return rework


@pytest.fixture
def rows(installation):
    import psycopg

    with psycopg.connect(installation.dsn, autocommit=True) as db:
        yield lambda sql: db.execute(sql).fetchall()


ALIVE = 'select pid from rework.worker where finished_at is null and pid is not null'


def test_a_busy_worker_finishes_its_task_after_its_monitor_was_killed(installation, rows):
    """Scenario RW-9."""
    task = api.schedule(installation.dsn, 'sleep', 3)
    with installation.workers(minworkers=2, maxworkers=2) as workers:
        task.join('running', timeout=30)
        until('both workers have started', lambda: len(rows(ALIVE)) == 2)
        pids = [pid for (pid,) in rows(ALIVE)]
        os.kill(workers.pid, signal.SIGKILL)
        task.join(timeout=30)
        assert task.state == 'done'
        until('all have ended', lambda: not any(map(is_alive, pids)))


def test_sigterm_aborts_tasks_after_the_grace_period(installation, rows):
    """Scenario RW-10."""
    task = api.schedule(installation.dsn, 'forever', 'with a child')
    with installation.workers() as workers:
        # A run that has not started would be requeued.
        until('it has started', lambda: task.output)
        os.kill(workers.pid, signal.SIGTERM)
        task.join(timeout=60)
    assert task.state == 'aborted'
    assert rows(ALIVE) == []


def test_a_pool_grows_with_the_queue_and_shrinks_one_by_one(installation, rows):
    """Scenario RW-11."""

    def workers_are(count):
        return lambda: len(rows(ALIVE)) == count

    with installation.workers(minworkers=1, maxworkers=4):
        until('there is one worker', workers_are(1))
        tasks = [api.schedule(installation.dsn, 'forever')]
        tasks[0].join('running', timeout=30)
        tasks += [api.schedule(installation.dsn, 'forever') for _ in range(2)]
        until('there are three workers', workers_are(3))
        tasks += [api.schedule(installation.dsn, 'forever') for _ in range(2)]
        until('four run', lambda: sum(task.state == 'running' for task in tasks) == 4)
        assert len(rows(ALIVE)) == 4
        for task in tasks:
            task.abort('enough')
        for task in tasks:
            task.join(timeout=30)
        until('one is left', workers_are(1), seconds=60)


def test_a_pool_may_be_empty(installation, rows):
    """Scenario RW-12."""
    with installation.workers(minworkers=0, maxworkers=4):
        assert rows(ALIVE) == []
        tasks = [api.schedule(installation.dsn, 'sleep', 1) for _ in range(6)]
        for task in tasks:
            task.join(timeout=30)
        assert len({task.worker for task in tasks}) > 1
        until('none is left', lambda: rows(ALIVE) == [], seconds=60)


def test_vacuum_deletes_only_the_tasks_that_were_named(installation):
    """Scenario RW-27."""
    ended = [api.schedule(installation.dsn, 'double', n) for n in range(3)]
    with installation.workers(maxworkers=2):
        for task in ended:
            task.join(timeout=30)
        running = api.schedule(installation.dsn, 'forever')
        running.join('running', timeout=30)
        api.schedule(installation.dsn, 'other_dom')

        def vacuum(*options):
            return binary.run(installation.dsn, ['vacuum', *options]).strip()

        assert vacuum('--tasks', '--days', '1') == 'deleted 0 tasks'
        assert vacuum('--tasks') == 'deleted 3 tasks'
        assert vacuum('--tasks', '--queued', '--domain', 'nondefault') == 'deleted 1 task'
        running.abort('the test is over')


def test_lists_show_the_details_of_each_row(installation):
    """Scenario RW-31."""
    task = api.schedule(installation.dsn, 'double', 1)
    listed = binary.run(installation.dsn, ['list-tasks'])
    assert re.fullmatch(r'1 double queued domain=default \[\d{4}-\d\d-\d\d [^]]+\]\s*', listed)
    with installation.workers():
        task.join(timeout=30)
        workers = binary.run(installation.dsn, ['list-workers'])
        monitors = binary.run(installation.dsn, ['list-monitors'])
    assert re.match(r'1 \d+@\S+ \d+ Mb \d+% \[running', workers)
    assert 'maxworkers=1' in monitors
    assert binary.run(installation.dsn, ['list-tasks', '--domain', 'nosuch']) == ''


def test_schedules_are_exported_and_imported(installation, tmp_path):
    """Scenario RW-32."""
    for n in range(4):
        given = {'n': n}
        api.prepare(installation.dsn, 'double', rule='0 8 * * *', inputdata=given, metadata={'by': 'me'})
    path = tmp_path / 'rework.sched'
    exported = binary.run(installation.dsn, ['export-scheduled', '--path', str(path)])
    assert exported.startswith('saved 4 entries into ')
    before = binary.run(installation.dsn, ['list-scheduled', '-o', 'json'])

    ids = re.findall(r'"id": ?(\d+)', before)
    for sid in set(ids):
        api.unprepare(installation.dsn, int(sid))
    assert binary.run(installation.dsn, ['import-scheduled', '--path', str(path)]).startswith('loaded 4')
    after = binary.run(installation.dsn, ['list-scheduled', '-o', 'json'])

    def facts(text):
        return sorted(re.findall(r'"(?:input|metadata|rule)": ?[^,}]+', text))

    assert facts(after) == facts(before)
