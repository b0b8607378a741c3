"""`api.workers`: a monitor for the duration of a block."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rework import api
from rework.errors import ReworkError
from test_scenarios import is_alive, until


def children(pid):
    """Return the pids of all descendants of a process."""
    found = []
    for task in Path(f'/proc/{pid}/task').glob('*/children'):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def test_a_monitor_runs_for_the_duration_of_the_block(jobs, sql):
    with api.workers(jobs, minworkers=2, maxworkers=2) as workers:
        assert sql('select id, pid, domains from rework.monitor where finished_at is null') == [
            (workers.mid, workers.pid, ['default'])
        ]
        assert len(workers.wids) == 2
        pids = [workers.pid, *children(workers.pid)]
        assert len(pids) >= 3
        assert f'monitor {workers.mid} on ' in workers.log
    assert f'monitor {workers.mid} on ' in workers.log, 'the log can be read after the block'
    assert not any(map(is_alive, pids))
    assert sql('select count(*) from rework.monitor where finished_at is null') == [(0,)]


def test_running_tasks_are_aborted_at_the_end_of_the_block(jobs):
    task = api.schedule(jobs, 'sleeps')
    with pytest.raises(KeyError), api.workers(jobs) as workers:
        task.join('running', timeout=30)
        pids = [workers.pid, *children(workers.pid)]
        aborted_at = time.monotonic()
        raise KeyError
    assert time.monotonic() - aborted_at < 10
    assert task.state == 'aborted'
    assert not any(map(is_alive, pids))


def test_workers_accept_a_connection_as_the_engine(jobs):
    import psycopg2

    connection = psycopg2.connect(jobs)
    connection.autocommit = True
    task = api.schedule(connection, 'echo', 1)
    with api.workers(connection):
        task.join(timeout=30)
    assert task.output == 1
    connection.close()


def test_a_monitor_that_does_not_start_reports_why(jobs):
    with api.workers(jobs):
        with pytest.raises(ReworkError, match='monitor') as error:
            with api.workers(jobs):
                pass
    assert error.value.hint
    with pytest.raises(ReworkError, match="invalid value '-1' for '--minworkers"):
        with api.workers(jobs, minworkers=-1):
            pass
    with pytest.raises(ReworkError, match='cannot connect to Postgres at 127.0.0.1:9'):
        with api.workers('host=127.0.0.1 port=9 dbname=x'):
            pass


def test_a_monitor_ends_with_the_process_that_started_it(jobs, tmp_path):
    script = (
        'import sys, time\nfrom rework import api\n'
        f'with api.workers({jobs!r}, minworkers=1) as workers:\n'
        '    print(workers.pid, flush=True)\n    time.sleep(1000)\n'
    )
    process = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    pids = [pid, *children(pid)]
    assert len(pids) >= 2 and all(map(is_alive, pids))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until('all have ended', lambda: not any(map(is_alive, pids)))
