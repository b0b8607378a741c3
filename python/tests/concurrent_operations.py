"""Operations of test_concurrency.py, whose runs are open at the same time in one process."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from rework import api

log = logging.getLogger('concurrent')


@api.task(concurrency=8)
async def prints(task):
    """Print in all possible ways, after eight runs have started."""
    started = Path(task.input)
    (started / str(task.tid)).touch()
    while len(list(started.iterdir())) < 8:
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
    """Wait until the file exists whose path is the input."""
    print('started')
    while not os.path.exists(task.input):
        await asyncio.sleep(0.01)
    task.save_output(os.getpid())


@api.task(concurrency=2)
async def asks(task):
    """Print a question without a newline. When the file exists whose path is the input, print the answer."""
    print('name? ', end='')
    sys.stderr.buffer.write(b'10 %\r')
    while not os.path.exists(task.input):
        await asyncio.sleep(0.01)
    print('Ada')
    sys.stderr.buffer.write(b'100 %')


@api.task(concurrency=4, timeout='30s', grace='1s')
async def behaves(task):
    """Do what the input says."""
    print('started')
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
            task.save_output([task.schedule('behaves', 'returns'), task.schedule('behaves', 'returns')])
        if task.input == 'schedules in a thread':
            task.save_output([await asyncio.to_thread(task.schedule, 'behaves', 'returns')])
        while task.input == 'waits':
            await asyncio.sleep(0.01)
        while task.input == 'reads aborted' and not task.aborted:
            await asyncio.sleep(0.01)
        if task.input == 'reads aborted':
            print('read:', task.abort_reason)
    finally:
        print('cleaned up')


@api.task(concurrency=2)
async def bypasses_python(task):
    """Write lines that cannot be assigned to a run."""
    os.write(1, f'written by {task.tid}\n'.encode())
    subprocess.run(['echo', f'a child of {task.tid}'], check=True)


@api.task(concurrency=100)
async def quick(task):
    """Print one line."""
    print('quick', task.tid)
    await asyncio.sleep(0)


@api.task(timeout='1s', concurrency=2)
async def slow(task):
    """Sleep for the number of seconds in the input, which may be longer than the timeout."""
    await asyncio.sleep(task.input)


@api.task(priority=5)
def urgent(task):
    """Do nothing, with a high priority."""


@api.task
def plain(task):
    """Do nothing, with the default priority."""


class _PrintsWhenCollected:
    """An object in a reference cycle, which prints and logs when the garbage collector finds it."""

    def __init__(self):
        self.cycle = self

    def __del__(self):
        print('collected')
        log.info('collected')


@api.task(concurrency=2)
async def creates_garbage(task):
    """Print while objects that print are collected at any moment."""
    for number in range(3000):
        _PrintsWhenCollected()
        print('line', number)
        if number % 100 == 0:
            await asyncio.sleep(0)


@api.task(concurrency=3)
async def forks(task):
    """Fork a child that returns from the operation, while other runs are open."""
    child = os.fork()
    if child == 0:
        print('from a child that returns', flush=True)
        return
    os.waitpid(child, 0)
    print('from the parent')
    task.save_output(os.getpid())


@api.task(concurrency=3)
async def child_task_exits(task):
    """End the event loop by an asyncio task that exits."""
    if task.input == 'stays':
        print('started')
        await asyncio.sleep(1000)
    inner = asyncio.ensure_future(_exits())
    await asyncio.wait([inner])


async def _exits():
    sys.exit(4)


@api.task(concurrency=6)
async def first_blocks_then_exits(task):
    """Block the loop in the first run, and exit. Runs that were sent meanwhile have not started."""
    if task.attempt == 1 and not os.path.exists(task.input):
        Path(task.input).touch()
        await asyncio.sleep(0.3)
        time.sleep(1)
        os._exit(3)
    task.save_output(task.attempt)
