"""Runs measure.py with two interpreters in turn, and says how they compare: `compare.py ORIGINAL OURS [--repeat K]`."""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

import psycopg2
from psycopg2 import extensions

MEASURE = Path(__file__).resolve().with_name('measure.py')

#: Workers and tasks of each: those of the original are slow.
ORIGINAL = (8, 2000)
OURS = (2, 20000)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('original')
    parser.add_argument('ours')
    parser.add_argument('--repeat', type=int, default=3)
    args = parser.parse_args()
    seen = {'original': [], 'ours': []}
    for number in range(args.repeat):
        for name, python, size in (
            ('original', args.original, ORIGINAL),
            ('ours', args.ours, OURS),
        ):
            seen[name].append(measured(f'bench_{name}_{number}', python, size))
    original, ours = (
        {key: statistics.median(one[key] for one in found) for key in found[0]}
        for found in seen.values()
    )
    say('no-op tasks/s', 'tasks_per_s', original, ours)
    say('from schedule to start, median, ms', 'start_ms', original, ours)
    say('idle worker with its interpreter, MiB resident', 'worker_rss_mib', original, ours)
    ratio = ours['tasks_per_s'] / original['tasks_per_s']
    print(f'  {ratio:.1f} times as many, target ≥ 15: {verdict(ratio >= 15)}')
    print(f'  start, target ≤ 5 ms: {verdict(ours["start_ms"] <= 5)}')
    print(f'  memory, target < its: {verdict(ours["worker_rss_mib"] < original["worker_rss_mib"])}')


def measured(database, python, size):
    """In a database of its own."""
    server = os.environ['REWORK_TEST_DSN']
    db = psycopg2.connect(server)
    db.autocommit = True
    db.cursor().execute(f'create database {database}')
    parts = extensions.parse_dsn(server)
    dsn = 'postgresql://{user}:{password}@{host}:{port}/{database}'.format(
        **{'port': 5432, **parts}, database=database
    )
    words = [python, str(MEASURE), dsn, *map(str, size)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=600)
    db.cursor().execute(f'drop database {database} with (force)')
    return json.loads(done.stdout.splitlines()[-1])


def say(what, key, original, ours):
    print(f'{what}: rework 0.17.2 {original[key]}, this one {ours[key]}')


def verdict(met):
    return 'met' if met else 'MISSED'


if __name__ == '__main__':
    main()
