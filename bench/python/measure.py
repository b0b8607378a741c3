"""Measures the Python `rework` that is installed where this runs, the original or this one: `measure.py DSN WORKERS
TASKS`. Both tell the same facts in their tables; prints JSON.
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

#: One at a time, with idle workers.
SINGLE = 30

ORIGINAL = {
    'span': "select extract(epoch from max(finished) - min(started)) from rework.task where status = 'done'",
    'left': "select count(*) from rework.task where status <> 'done'",
    'delay': 'select extract(epoch from started - queued) from rework.task where id = %s',
    'ready': 'select count(*) from rework.worker where running and started is not null',
    'pids': 'select pid from rework.worker where running',
}
OURS = {
    'span': "select extract(epoch from max(finished_at) - min(started_at)) from rework.task where state = 'done'",
    'left': "select count(*) from rework.task where state <> 'done'",
    'delay': 'select extract(epoch from started_at - queued_at) from rework.task where id = %s',
    'ready': 'select count(*) from rework.worker where finished_at is null and started_at is not null',
    'pids': 'select pid from rework.worker where finished_at is null',
}


def main(dsn, workers, tasks):
    sql = OURS if (Path(api.__file__).parent / 'runner').is_dir() else ORIGINAL
    program = str(BIN / 'rework')
    subprocess.run([program, 'init-db', dsn], check=True, stdout=subprocess.DEVNULL)
    words = [program, 'register-operations', dsn, str(HERE / 'operations.py')]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    engine = create_engine(dsn)
    for _ in range(tasks):
        api.schedule(engine, 'noop')
    db = psycopg2.connect(dsn)
    db.autocommit = True
    cursor = db.cursor()

    def ask(name, *values):
        cursor.execute(sql[name], values)
        return [row[0] for row in cursor.fetchall()]

    monitor = subprocess.Popen(
        [program, 'monitor', dsn, '--maxworkers', str(workers), '--minworkers', str(workers)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # The original looks for itself there.
        env={**os.environ, 'PATH': f'{BIN}:{os.environ["PATH"]}'},
    )
    try:
        while ask('left')[0]:
            time.sleep(0.2)
        rate = tasks / float(ask('span')[0])
        while ask('ready')[0] < workers:
            time.sleep(0.2)
        delays = sorted(delay(engine, ask) for _ in range(SINGLE))
        memory = max(tree_memory(pid) for pid in ask('pids'))
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


def delay(engine, ask):
    time.sleep(0.3)
    task = api.schedule(engine, 'noop')
    while ask('left')[0]:
        time.sleep(0.02)
    return float(ask('delay', task.tid)[0])


def tree_memory(pid):
    """Resident bytes of a process and all that descend from it."""
    own = int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGESIZE')
    children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return own + sum(map(tree_memory, children))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
