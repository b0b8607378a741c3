"""The errors that are raised when a database cannot be reached or refuses something."""

import os
import re
from pathlib import Path

import psycopg
import pytest

from engines import CONNECTIONS, DRIVERS, ENGINES
from rework import api, database
from rework.errors import ReworkError, UnknownOperation, Unreachable


@pytest.mark.parametrize('engine', [None, 7, ['dsn'], object()])
def test_what_is_not_an_engine_is_reported(engine):
    with pytest.raises(TypeError, match='pass a DSN such as .* SQLAlchemy Engine .* psycopg'):
        api.schedule(engine, 'echo')


def test_an_asynchronous_connection_is_not_an_engine():
    with pytest.raises(TypeError, match='`engine` is a psycopg.*AsyncConnection: pass'):
        database.dsn_of(psycopg.AsyncConnection.__new__(psycopg.AsyncConnection))


@pytest.mark.parametrize('text', ['jobs', 'http://localhost', 'secret=x'])
def test_a_text_that_is_not_a_dsn_is_reported_without_showing_it(text):
    with pytest.raises(ReworkError) as error:
        api.schedule(text, 'echo')
    assert 'postgres://user:password@host' in error.value.hint
    assert text not in str(error.value), 'it may contain a password'


def test_a_database_without_the_schema_is_reported(rework_server, rework):
    name = f'bare_{os.getpid()}'
    bare = psycopg.conninfo.make_conninfo(rework.dsn, dbname=name)
    with psycopg.connect(rework_server, autocommit=True) as server:
        server.execute(f'create database {name}')
        try:
            with pytest.raises(ReworkError) as error:
                api.schedule(bare, 'echo')
        finally:
            server.execute(f'drop database {name} with (force)')
    assert error.value.message == f'there is no rework schema in database `{name}`'
    assert 'rework init-db DSN' in error.value.hint


@pytest.mark.parametrize(
    ('has', 'serves', 'message', 'hint'),
    [
        (3, 3, f'is at version 3, this package needs {database.SCHEMA_VERSION}', 'init-db'),
        (999, 998, 'serves clients from 998 on', 'pip install --upgrade'),
        (999, database.SCHEMA_VERSION, None, None),
    ],
)
def test_a_schema_that_is_too_old_or_too_new_is_refused(jobs, sql, has, serves, message, hint):
    sql('update rework.version set schema = %s, serves = %s', has, serves)
    if message is None:
        assert api.schedule(jobs, 'echo').state == 'queued'
        return
    with pytest.raises(ReworkError) as error:
        api.schedule(jobs, 'echo')
    assert message in error.value.message
    assert hint in error.value.hint


def test_the_schema_version_is_that_of_the_migrations():
    [chapter] = (Path(__file__).parents[2] / 'migrations').glob('V*__version.sql')
    version = re.search(r'values \((\d+), \d+\)', chapter.read_text(encoding='utf-8'))
    assert int(version[1]) == database.SCHEMA_VERSION


def test_an_error_of_the_database_has_its_hint(jobs):
    with pytest.raises(UnknownOperation) as error:
        api.schedule(jobs, 'nope')
    assert error.value.message == 'operation `nope` is not registered'
    assert str(error.value).endswith('\nhint: see `rework list-operations`')
    assert isinstance(error.value.__cause__, psycopg.Error)


@pytest.mark.parametrize('kind', ['dsn', 'psycopg2'])
def test_errors_are_the_same_through_any_driver(jobs, kind):
    engine = {**ENGINES, **CONNECTIONS}[kind](jobs)
    with pytest.raises(ReworkError) as error:
        api.schedule(engine, 'echo', 1, priority=10**6)
    assert error.value.message == 'priority 1000000 is not between -32768 and 32767'


@pytest.mark.parametrize('kind', ['dsn', *(f'engine {name}' for name in DRIVERS)])
def test_an_unreachable_server_is_reported(kind):
    with pytest.raises(Unreachable) as error:
        api.schedule(ENGINES[kind]('host=127.0.0.1 port=9 dbname=x user=me password=secret'), 'echo')
    assert error.value.message.startswith('cannot connect to Postgres at 127.0.0.1:9: ')
    assert 'rework dev' in error.value.hint
    assert 'secret' not in str(error.value)


@pytest.mark.parametrize('kind', ['dsn', *(f'engine {name}' for name in DRIVERS)])
def test_a_refused_connection_is_reported(rework_server, kind):
    parts = psycopg.conninfo.conninfo_to_dict(rework_server)
    server_name = f'{parts["host"]}:{parts["port"]}'
    wrong, absent = {'password': 'wrong'}, {'dbname': 'no_such_db'}
    with pytest.raises(ReworkError) as error:
        api.schedule(ENGINES[kind](psycopg.conninfo.make_conninfo(rework_server, **wrong)), 'echo')
    assert error.value.message.startswith(f'Postgres at {server_name} refused the login: ')
    with pytest.raises(ReworkError) as error:
        api.schedule(ENGINES[kind](psycopg.conninfo.make_conninfo(rework_server, **absent)), 'echo')
    assert error.value.message == f'there is no database `no_such_db` at {server_name}'
    assert error.value.hint == 'create it: `createdb no_such_db`'


@pytest.mark.parametrize('kind', CONNECTIONS)
def test_a_closed_connection_is_reported(jobs, kind):
    connection = CONNECTIONS[kind](jobs)
    task = api.schedule(connection, 'echo')
    connection.close()
    with pytest.raises(ReworkError, match='the connection is closed'):
        _ = task.state


def test_a_serialization_failure_is_raised_as_the_error_of_the_driver(jobs):
    with psycopg.connect(jobs) as connection:
        connection.execute("set local lock_timeout = '10ms'")
        with pytest.raises(psycopg.errors.SerializationFailure):
            with database.session(connection) as db:
                db.driver.execute("do $$ begin raise 'again' using errcode = '40001'; end $$")
