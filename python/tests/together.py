"""Operations whose runs are open at once in one process."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from rework import api

log = logging.getLogger('together')


@api.task(concurrency=8)
async def talks(task):
    """Prints by every way, while others do."""
    met = Path(task.input)
    (met / str(task.tid)).touch()
    while len(list(met.iterdir())) < 8:
        await asyncio.sleep(0.01)
    for number in range(50):
        print(f'print {task.tid} {number}')
        log.info('log %s %s', task.tid, number)
        print(f'err {task.tid} {number}', file=sys.stderr)
        await asyncio.sleep(0)
    sys.stdout.buffer.write(f'bytes {task.tid}\n'.encode())
    await asyncio.to_thread(print, f'thread {task.tid}')
    print('no end of line', task.tid, end='')
    task.save_output(os.getpid())


@api.task(concurrency=3)
async def waits(task):
    """Until a file is there."""
    print('begun')
    while not os.path.exists(task.input):
        await asyncio.sleep(0.01)
    task.save_output(os.getpid())


@api.task(concurrency=4, timeout='30s', grace='1s')
async def behaves(task):
    """Each in its own way."""
    print('begun')
    try:
        if task.input == 'fails':
            raise ValueError('oops')
        if task.input == 'exits':
            sys.exit(7)
        if task.input == 'interrupted':
            raise KeyboardInterrupt
        if task.input == 'crashes':
            os._exit(3)
        if task.input == 'blocks':
            time.sleep(1000)
        if task.input == 'schedules':
            task.save_output(
                [task.schedule('behaves', 'returns'), task.schedule('behaves', 'returns')]
            )
        if task.input == 'schedules in a thread':
            task.save_output([await asyncio.to_thread(task.schedule, 'behaves', 'returns')])
        while task.input == 'waits':
            await asyncio.sleep(0.01)
        while task.input == 'asks' and not task.aborted:
            await asyncio.sleep(0.01)
        if task.input == 'asks':
            print('asked:', task.abort_reason)
    finally:
        print('cleaned up')


@api.task(concurrency=2)
async def past_the_sdk(task):
    """Its lines have no run."""
    os.write(1, f'written by {task.tid}\n'.encode())
    subprocess.run(['echo', f'a child of {task.tid}'], check=True)


@api.task(concurrency=100)
async def quick(task):
    """Nothing."""
    print('quick', task.tid)
    await asyncio.sleep(0)


@api.task(timeout='1s', concurrency=2)
async def slow(task):
    """Longer than it may be, where it is told so."""
    await asyncio.sleep(task.input)


@api.task(priority=5)
def urgent(task):
    """Goes first."""


@api.task
def plain(task):
    """Goes when its turn comes."""


class _Talks:
    """Prints and logs when its garbage is collected."""

    def __init__(self):
        self.me = self

    def __del__(self):
        print('collected')
        log.info('collected')


@api.task(concurrency=2)
async def litters(task):
    """Garbage that is collected wherever it may be."""
    for number in range(3000):
        _Talks()
        print('line', number)
        if number % 100 == 0:
            await asyncio.sleep(0)


@api.task(concurrency=3)
async def forks(task):
    """A child that prints and one that comes back out of here, while others are open."""
    child = os.fork()
    if child == 0:
        print('from a child that comes back', flush=True)
        return
    os.waitpid(child, 0)
    print('from the parent')
    task.save_output(os.getpid())


@api.task(concurrency=3)
async def child_task_exits(task):
    """Takes the loop with it."""
    if task.input == 'stays':
        print('begun')
        await asyncio.sleep(1000)
    inner = asyncio.ensure_future(_exits())
    await asyncio.wait([inner])


async def _exits():
    sys.exit(4)


@api.task(concurrency=6)
async def first_blocks_then_exits(task):
    """Those that were sent meanwhile have not begun."""
    if task.attempt == 1 and not os.path.exists(task.input):
        Path(task.input).touch()
        await asyncio.sleep(0.3)
        time.sleep(1)
        os._exit(3)
    task.save_output(task.attempt)
