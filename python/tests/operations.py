"""Operations of the tests in test_scenarios.py and others."""

import asyncio
import contextlib
import datetime
import logging
import os
import subprocess
import sys
import time
import warnings

from rework import api, io


@api.task
def double(task):
    with task.capturelogs(std=True):
        print('I am running')
        task.save_output(task.input * 2)
        print('I am done')


@api.task
def boom(task):
    print('before')
    task.save_output('partial')
    raise ValueError('oops')


@api.task
def sleep(task):
    time.sleep(task.input)


@api.task
def warns(task):
    warnings.warn('take care', stacklevel=1)


@api.task
def forever(task):
    if task.input == 'with a child':
        child = subprocess.Popen(['sleep', '1000'])
        task.save_output([os.getpid(), child.pid])
    while True:
        time.sleep(0.05)


@api.task
def die(task):
    os._exit(3)


@api.task
def exit7(task):
    sys.exit(7)


@api.task
def interrupted(task):
    raise KeyboardInterrupt


@api.task
def crash(task):
    import ctypes

    ctypes.string_at(0)


@api.task
def pid(task):
    task.save_output(os.getpid())


@api.task(timeout=datetime.timedelta(seconds=2))
def slow_t(task):
    time.sleep(60)


@api.task(timeout=datetime.timedelta(minutes=1))
def quick_t(task):
    task.save_output(1)


@api.task
def raw(task):
    task.save_output(task.raw_input + b' and Celeste', raw=True)


@api.task
def reads_raw(task):
    return task.input


_kept = []


@api.task
def leak(task):
    _kept.append(b'x' * (task.input << 20))
    task.save_output(os.getpid())


@api.task(
    domain='other',
    inputs=(
        io.file('f', required=True),
        io.number('n', default=42),
        io.string('s', choices=('a', 'b')),
        io.datetime('d'),
        io.boolean('b'),
        io.moment('m'),
    ),
    outputs=(io.string('message'), io.number('k'), io.datetime('at')),
)
def typed(task):
    given = task.input
    task.save_output(
        {'message': given['f'].decode(), 'k': given['n'], 'at': given.get('m') or given.get('d')}
        if len(given) > 2
        else {'message': given['f'].decode(), 'k': given['n']}
    )


@api.task(domain='other', outputs=(io.string('message'),))
def undeclared(task):
    task.save_output({'nope': 1})


@api.task(inputs=())
def noinput(task):
    task.save_output(repr(task.input))


@api.task(domain='nondefault')
def other_dom(task):
    task.save_output('other domain')


@api.task
def logs(task):
    logger = logging.getLogger('my_app_logger')
    with task.capturelogs(level=logging.INFO, std=True):
        logger.debug('not this')
        logger.info('this')
        sys.stdout.write('a')
        sys.stdout.write('b\n')
        sys.stderr.write('watch out\n')
        print('x\ny')
        sys.stdout.write('tail')


@api.task
def mixed(task):
    """Write numbered lines by `print`, a logger, `os.write` and a child process in turn."""
    logger = logging.getLogger('mixed')
    for number in range(0, task.input, 100):
        for n in range(number, number + 25):
            print('print', n)
            logger.info('log %d', n)
            os.write(1, b'write %d\n' % n)
        lines = ''.join(f'child {n}\n' for n in range(number, number + 25))
        subprocess.run(['cat'], input=lines.encode(), check=True)


@api.task
def says_its_id(task):
    print('this is', task.tid)


@api.task
async def waits(task):
    await asyncio.sleep(0.05)
    task.save_output('waited')


@api.task
def cleans_up(task):
    task.progress(1, 2, 'waiting')
    task.wait_aborted(60)
    print('cleaning up:', task.abort_reason)


@api.task(attempts=3)
def flaky(task):
    if task.attempt < 3:
        raise OSError('not yet')
    task.save_output(task.attempt)


@api.task
def parent(task):
    task.save_output(task.schedule('double', task.input))


@api.task
def forks(task):
    ends = []
    for behaviour in ('returns', 'exits', 'fails'):
        child = os.fork()
        if child == 0:
            print('from the child that', behaviour)
            if behaviour == 'exits':
                sys.exit(7)
            if behaviour == 'fails':
                raise ValueError('in the child')
            return
        ends.append(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
    print('from the parent')
    task.save_output(ends)


#: The list keeps the threads alive after the run.
_threads = []


@api.task
def leaves_a_thread(task):
    """Start a thread that logs and reports progress after the run has ended."""
    import threading

    def report():
        while True:
            logging.getLogger('thread').info('still there')
            task.progress(1)
            time.sleep(0.001)

    _threads.append(threading.Thread(target=report, daemon=True))
    _threads[-1].start()
    # Operations may replace the stream. The runner restores it.
    sys.stdout = open(os.devnull, 'w')  # noqa: SIM115
    task.save_output(os.getpid())


@api.task
def says_odd_things(task):
    with contextlib.suppress(TypeError):
        task.schedule('double', 1, priority=object())
    raise ValueError('caf\udce9 ' + 'long ' * 2_000_000)
