"""Compares the original `rework` with this package: `compare.py ORIGINAL OURS [--repeat K]`.

ORIGINAL and OURS are Python interpreters whose environments have the one or the other installed. Runs measure.py with
both alternately, and prints the medians.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

import psycopg2
from psycopg2 import extensions

MEASURE = Path(__file__).resolve().with_name('measure.py')

#: Number of workers and of tasks. The original gets fewer tasks, because it is slow.
ORIGINAL = (8, 2000)
OURS = (2, 20000)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('original')
    parser.add_argument('ours')
    parser.add_argument('--repeat', type=int, default=3)
    args = parser.parse_args()
    results = {'original': [], 'ours': []}
    for number in range(args.repeat):
        for name, python, size in (
            ('original', args.original, ORIGINAL),
            ('ours', args.ours, OURS),
        ):
            results[name].append(measure(f'bench_{name}_{number}', python, size))
    original, ours = (
        {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for runs in results.values()
    )
    print_figure('no-op tasks/s', 'tasks_per_s', original, ours)
    print_figure('from schedule to start, median, ms', 'start_ms', original, ours)
    print_figure('idle worker with its interpreter, MiB resident', 'worker_rss_mib', original, ours)
    ratio = ours['tasks_per_s'] / original['tasks_per_s']
    print(f'  {ratio:.1f} times as many, target ≥ 15: {met_or_missed(ratio >= 15)}')
    print(f'  start, target ≤ 5 ms: {met_or_missed(ours["start_ms"] <= 5)}')
    less_memory = ours['worker_rss_mib'] < original['worker_rss_mib']
    print(f'  memory, target < original: {met_or_missed(less_memory)}')


def measure(database, python, size):
    """Run measure.py in a fresh database of this name, and return its figures."""
    server = os.environ['REWORK_TEST_DSN']
    db = psycopg2.connect(server)
    db.autocommit = True
    db.cursor().execute(f'create database {database}')
    parts = extensions.parse_dsn(server)
    dsn = 'postgresql://{user}:{password}@{host}:{port}/{database}'.format(
        **{'port': 5432, **parts}, database=database
    )
    command = [python, str(MEASURE), dsn, *map(str, size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600)
    db.cursor().execute(f'drop database {database} with (force)')
    return json.loads(done.stdout.splitlines()[-1])


def print_figure(name, key, original, ours):
    # bench/before-after reads this line.
    print(f'{name}: rework 0.17.2 {original[key]}, this one {ours[key]}')


def met_or_missed(met):
    return 'met' if met else 'MISSED'


if __name__ == '__main__':
    main()
