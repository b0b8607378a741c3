"""Fixtures with rework 0.17 from PyPI, and a database that it has filled. conftest.py makes them known to all tests."""

import json
import os
import subprocess
import time
import venv
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLD_OPERATIONS = HERE / 'old_operations.py'
OLD_REWORK = 'rework==0.17.2'


@pytest.fixture(scope='session')
def old_python(tmp_path_factory):
    """Return a Python with rework 0.17 and without this package."""
    folder = tmp_path_factory.mktemp('old') / 'env'
    venv.create(folder, with_pip=True)
    pip = [folder / 'bin/python', '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
    subprocess.run([*pip, OLD_REWORK], check=True, env=clean_environment())
    return folder / 'bin/python'


@pytest.fixture
def old(old_python, rework_server):
    """Return a new database of rework 0.17 that has tasks and schedules, with their ids."""
    import psycopg
    from psycopg import conninfo

    name = f'old_{os.getpid()}_{time.monotonic_ns()}'
    given = {'port': 5432, **conninfo.conninfo_to_dict(rework_server)}
    dsn = 'postgresql://{user}:{password}@{host}:{port}/{name}'.format(**given, name=name)
    with psycopg.connect(rework_server, autocommit=True) as server:
        server.execute(f'create database {name}')
        try:
            made = subprocess.run(
                [old_python, HERE / 'old_database.py', dsn, OLD_OPERATIONS],
                check=False,
                env=clean_environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert made.returncode == 0, made.stderr
            yield OldDatabase(dsn, **json.loads(made.stdout))
        finally:
            server.execute(f'drop database {name} with (force)')


class OldDatabase:
    """A database of rework 0.17. `tasks` and `schedules` are the ids in it, by the names in old_database.py."""

    def __init__(self, dsn, tasks, schedules):
        self.dsn, self.tasks, self.schedules = dsn, tasks, schedules

    def run(self, sql):
        """Run a statement and return its rows."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else None


def clean_environment():
    """Return the environment without variables that would affect another Python or name a database."""
    ours = ('REWORK_', 'PYTHON', 'PG')
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
