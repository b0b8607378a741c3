"""The pytest fixtures of `rework.testing`: a Postgres server for the session, and a database for each test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rework import binary
from rework.testing import Installation

#: The environment variable with the DSN of the server on which each test gets a database. Its role must be allowed to
#: create databases. If it is not set, the session starts and removes a private Postgres.
SERVER = 'REWORK_TEST_DSN'

#: Seconds that a private Postgres may take to start. The first start also creates its data directory.
_START_TIMEOUT = 120

#: A manifest without operations: `rework dev` needs a file to register.
_EMPTY_MANIFEST = 'domain = "none"\n'


@pytest.fixture(scope='session')
def rework_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the DSN of a server on which databases can be created: `$REWORK_TEST_DSN`, or a private Postgres."""
    given = os.environ.get(SERVER)
    if given:
        yield given
        return
    project = tmp_path_factory.mktemp('rework-server')
    (project / 'none.toml').write_text(_EMPTY_MANIFEST)
    with open(project / 'log', 'wb') as log:
        server = subprocess.Popen(
            [binary.path(), 'dev', '--maxworkers', '1', 'none.toml'],
            cwd=project,
            env={name: value for name, value in os.environ.items() if not _names_another_database(name)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        facts = _wait_until_started(project, server)
        yield facts['dsn']
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    if facts.get('data'):
        shutil.rmtree(facts['data'], ignore_errors=True)


@pytest.fixture
def rework(rework_server: str) -> Iterator[Installation]:
    """Give a new database with the rework schema. It is dropped after the test."""
    import psycopg

    name = f'rework_test_{uuid.uuid4().hex}'
    with psycopg.connect(rework_server, autocommit=True) as server:
        server.execute(f'create database {name}')
        try:
            installation = Installation(_with_database(rework_server, name))
            binary.run(installation.dsn, ['init-db'])
            yield installation
        finally:
            server.execute(f'drop database {name} with (force)')


def _names_another_database(variable: str) -> bool:
    """Return whether `rework dev` would use the database in this environment variable instead of a private one."""
    return variable in ('REWORK_DSN', 'DATABASE_URL') or variable.startswith('PG')


def _wait_until_started(project: Path, server: subprocess.Popen[bytes]) -> dict[str, str]:
    """Wait until `rework dev` has started, and return what it wrote about itself into `.rework/dev.json`.

    Raise RuntimeError with its output if it ends, or does not start in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            facts: dict[str, str] = json.loads((project / '.rework/dev.json').read_text())
        except (FileNotFoundError, ValueError):
            # A ValueError means that the file is being written.
            time.sleep(0.05)
            continue
        if facts.get('monitor'):
            return facts
        time.sleep(0.05)
    log = (project / 'log').read_text(errors='replace')
    raise RuntimeError(f'the private Postgres did not start; set ${SERVER} to the DSN of another one\n{log}')


def _with_database(dsn: str, database: str) -> str:
    """Return the DSN of another database on the same server."""
    from psycopg import conninfo

    return conninfo.make_conninfo(dsn, dbname=database)
