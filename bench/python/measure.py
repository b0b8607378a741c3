"""Measures the installed Python package `rework`, the original or this one: `measure.py DSN WORKERS TASKS`.

The figures come from the tables in the database, which both packages have. Prints them as JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
from sqlalchemy import create_engine

from rework import api

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent

#: Number of tasks that are scheduled one at a time, while all workers are idle, to measure the delay of their start.
SINGLE_TASKS = 30

ORIGINAL = {
    'span': "select extract(epoch from max(finished) - min(started)) from rework.task where status = 'done'",
    'unfinished': "select count(*) from rework.task where status <> 'done'",
    'delay': 'select extract(epoch from started - queued) from rework.task where id = %s',
    'ready': 'select count(*) from rework.worker where running and started is not null',
    'pids': 'select pid from rework.worker where running',
}
OURS = {
    'span': "select extract(epoch from max(finished_at) - min(started_at)) from rework.task where state = 'done'",
    'unfinished': "select count(*) from rework.task where state <> 'done'",
    'delay': 'select extract(epoch from started_at - queued_at) from rework.task where id = %s',
    'ready': 'select count(*) from rework.worker where finished_at is null and started_at is not null',
    'pids': 'select pid from rework.worker where finished_at is null',
}


def main(dsn, workers, tasks):
    sql = OURS if (Path(api.__file__).parent / 'runner').is_dir() else ORIGINAL
    program = str(BIN / 'rework')
    subprocess.run([program, 'init-db', dsn], check=True, stdout=subprocess.DEVNULL)
    command = [program, 'register-operations', dsn, str(HERE / 'operations.py')]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    engine = create_engine(dsn)
    for _ in range(tasks):
        api.schedule(engine, 'noop')
    db = psycopg2.connect(dsn)
    db.autocommit = True
    cursor = db.cursor()

    def query(name, *values):
        cursor.execute(sql[name], values)
        return [row[0] for row in cursor.fetchall()]

    monitor = subprocess.Popen(
        [program, 'monitor', dsn, '--maxworkers', str(workers), '--minworkers', str(workers)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # The original starts its workers by the name `rework`, which the system searches in PATH.
        env={**os.environ, 'PATH': f'{BIN}:{os.environ["PATH"]}'},
    )
    try:
        while query('unfinished')[0]:
            time.sleep(0.2)
        rate = tasks / float(query('span')[0])
        while query('ready')[0] < workers:
            time.sleep(0.2)
        delays = sorted(start_delay(engine, query) for _ in range(SINGLE_TASKS))
        memory = max(tree_memory(pid) for pid in query('pids'))
    finally:
        monitor.send_signal(signal.SIGTERM)
        monitor.wait()
    print(
        json.dumps(
            {
                'tasks_per_s': round(rate),
                'start_ms': round(delays[len(delays) // 2] * 1000, 2),
                'worker_rss_mib': round(memory / (1 << 20), 1),
            }
        )
    )


def start_delay(engine, query):
    """Schedule a task, and return the time from then until its start, in seconds."""
    time.sleep(0.3)
    task = api.schedule(engine, 'noop')
    while query('unfinished')[0]:
        time.sleep(0.02)
    return float(query('delay', task.tid)[0])


def tree_memory(pid):
    """Return the resident memory of a process and all its descendants, in bytes."""
    own = int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGESIZE')
    children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return own + sum(map(tree_memory, children))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
