"""The pytest fixtures of `rework.testing`: a server for the session, a database for each test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Iterator

import pytest

from rework import binary
from rework.testing import Installation

#: Names the server on which each test gets a database of its own: `postgres://…` of a role that may
#: create some. Where it is not set a private Postgres comes and goes with the session.
SERVER = 'REWORK_TEST_DSN'

#: Seconds until a private Postgres is up.
_START = 120

_EMPTY = 'domain = "none"\n'


@pytest.fixture(scope='session')
def rework_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a server on which databases can be made."""
    given = os.environ.get(SERVER)
    if given:
        yield given
        return
    project = tmp_path_factory.mktemp('rework-server')
    (project / 'none.toml').write_text(_EMPTY)
    with open(project / 'log', 'wb') as log:
        server = subprocess.Popen(
            [binary.path(), 'dev', '--maxworkers', '1', 'none.toml'],
            cwd=project,
            env={name: value for name, value in os.environ.items() if not _misleads(name)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        said = _said(project, server)
        yield said['dsn']
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    if said.get('data'):
        shutil.rmtree(said['data'], ignore_errors=True)


@pytest.fixture
def rework(rework_server: str) -> Iterator[Installation]:
    """A database with the schema; it is gone when the test is."""
    import psycopg

    name = f'rework_test_{uuid.uuid4().hex}'
    with psycopg.connect(rework_server, autocommit=True) as server:
        server.execute(f'create database {name}')
        try:
            installation = Installation(_named(rework_server, name))
            binary.run(installation.dsn, ['init-db'])
            yield installation
        finally:
            server.execute(f'drop database {name} with (force)')


def _misleads(variable: str) -> bool:
    return variable in ('REWORK_DSN', 'DATABASE_URL') or variable.startswith('PG')


def _said(project: Path, server: subprocess.Popen[bytes]) -> dict[str, str]:
    """What `rework dev` says of itself, once it is up."""
    until = time.monotonic() + _START
    while time.monotonic() < until and server.poll() is None:
        try:
            said: dict[str, str] = json.loads((project / '.rework/dev.json').read_text())
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
            continue
        if said.get('monitor'):
            return said
        time.sleep(0.05)
    log = (project / 'log').read_text(errors='replace')
    raise RuntimeError(
        f'no private Postgres came up; set ${SERVER} to the DSN of another one\n{log}'
    )


def _named(dsn: str, database: str) -> str:
    """The same server, another database."""
    from psycopg import conninfo

    return conninfo.make_conninfo(dsn, dbname=database)
