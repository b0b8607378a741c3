"""The wheel in empty virtual environments: the documented quick start, and two environments on one host."""

import os
import subprocess
import time
import venv

import pytest

from rework import api

WHEEL = os.environ.get('REWORK_TEST_WHEEL')

pytestmark = pytest.mark.skipif(not WHEEL, reason='scripts/test-python builds the wheel')

#: The program of the quick start of rework 0.17. Only the DSN is replaced.
QUICK_START = """\
from rework import api
from sqlalchemy import create_engine

@api.task
def my_first_task(task):
    with task.capturelogs(std=True):
        print('I am running')
        somevalue = task.input * 2
        task.save_output(somevalue)
        print('I am done')


if __name__ == '__main__':
    engine = create_engine(
        'DSN'
    )
    # now, schedule tasks
    t1 = api.schedule(engine, 'my_first_task', 'hello')
    t2 = api.schedule(engine, 'my_first_task', 100)

    # wait til they are completed
    t1.join()
    t2.join()

    assert t1.output == 'hellohello'
    assert t2.output == 200
"""

VERSION = """\
import six
from rework import api

@api.task(domain='DOMAIN')
def version_of_six(task):
    task.save_output(six.__version__)
"""


def environment(folder, *packages):
    """Create a virtual environment with the wheel. Return a function that runs its programs."""
    venv.create(folder, with_pip=True)
    pip = [folder / 'bin/python', '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
    subprocess.run([*pip, WHEEL, *packages], check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith('REWORK_')}
    clean['PATH'] = f'{folder}/bin:{clean["PATH"]}'
    clean.pop('PYTHONPATH', None)

    def run(name, *args, **options):
        """Run a program and return what it prints."""
        call = [folder / 'bin' / name, *map(str, args)]
        done = subprocess.run(call, env=clean, capture_output=True, text=True, timeout=60, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.environment = clean
    run.folder = folder
    return run


@pytest.fixture
def empty_database(rework_server):
    """Give the DSN of a database without a schema."""
    import psycopg
    from psycopg import conninfo

    name = f'jobstore_{os.getpid()}_{time.monotonic_ns()}'
    with psycopg.connect(rework_server, autocommit=True) as server:
        server.execute(f'create database {name}')
        given = conninfo.conninfo_to_dict(rework_server)
        given.setdefault('port', 5432)
        yield 'postgresql://{user}:{password}@{host}:{port}/{name}'.format(**given, name=name)
        server.execute(f'drop database {name} with (force)')


def test_the_quick_start_works_in_an_empty_environment(empty_database, tmp_path):
    run = environment(tmp_path / 'env', 'sqlalchemy', 'psycopg2-binary')
    dsn = empty_database
    module = tmp_path / 'test_rework.py'
    module.write_text(QUICK_START.replace('DSN', dsn))
    run('rework', 'init-db', dsn)
    registered = run('rework', 'register-operations', dsn, module)
    assert registered == 'registered 1 new operation (0 already known)\n'
    operations = run('rework', 'list-operations', dsn)
    assert 'my_first_task' in operations
    assert str(module) in operations
    program = subprocess.Popen([run.folder / 'bin/python', module], env=run.environment)
    monitor = subprocess.Popen([run.folder / 'bin/rework', 'monitor', dsn], env=run.environment, stderr=subprocess.PIPE)
    try:
        assert program.wait(timeout=60) == 0
        tasks = run('rework', 'list-tasks', dsn).splitlines()
        assert [line.split()[:3] for line in tasks] == [
            ['1', 'my_first_task', 'done'],
            ['2', 'my_first_task', 'done'],
        ]
        lines = run('rework', 'log-task', dsn, '1').splitlines()
        assert [line.rpartition(': ')[2] for line in lines] == ['I am running', 'I am done']
        assert all(line.startswith('stdout:INFO: ') for line in lines)
        workers = run('rework', 'list-workers', dsn).splitlines()
        assert [line.split()[0] for line in workers] == ['1', '2']
        assert all('[running (idle)]' in line for line in workers)
    finally:
        monitor.terminate()
        monitor.wait()
    workers = run('rework', 'list-workers', dsn)
    assert workers.count('[dead]') == 2


def test_two_environments_serve_two_domains_of_one_host(rework, tmp_path):
    versions = {'old': '1.15.0', 'new': '1.16.0'}
    for domain, version in versions.items():
        run = environment(tmp_path / domain, f'six=={version}')
        module = tmp_path / f'{domain}.py'
        module.write_text(VERSION.replace('DOMAIN', domain))
        run('rework', 'register-operations', rework.dsn, module)
    tasks = {name: api.schedule(rework.dsn, 'version_of_six', domain=name) for name in versions}
    for domain, task in tasks.items():
        with rework.workers(domain=domain):
            task.join(timeout=60)
    assert {name: task.output for name, task in tasks.items()} == versions
