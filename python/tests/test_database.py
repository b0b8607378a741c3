"""Whatever may be passed as an engine, and what is said where it cannot be used."""

import os
import re
import threading
from pathlib import Path

import psycopg
import psycopg2
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from rework import api, connections, database
from rework.errors import ReworkError, UnknownOperation, Unreachable

ALCHEMY = tuple(int(part) for part in sqlalchemy.__version__.split('.')[:2])
DRIVERS = ['psycopg2', 'psycopg'] if ALCHEMY >= (2, 0) else ['psycopg2']


def url(dsn, driver):
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    place = f'{parts["host"]}:{parts["port"]}/{parts["dbname"]}'
    return f'postgresql+{driver}://{parts["user"]}:{parts["password"]}@{place}'


def pool_of(dsn):
    return ConnectionPool(dsn, min_size=1, open=True)


ENGINES = {
    'dsn': lambda dsn: dsn,
    'url': lambda dsn: url(dsn, 'psycopg2'),
    'pairs': lambda dsn: psycopg.conninfo.make_conninfo(dsn),
    'pool': pool_of,
    **{
        f'engine {name}': lambda dsn, n=name: sqlalchemy.create_engine(url(dsn, n))
        for name in DRIVERS
    },
}

CONNECTIONS = {
    'psycopg': lambda dsn: psycopg.connect(dsn, row_factory=dict_row),
    'psycopg2': lambda dsn: psycopg2.connect(dsn),
    **{
        f'connection {name}': lambda dsn, n=name: sqlalchemy.create_engine(url(dsn, n)).connect()
        for name in DRIVERS
    },
}


@pytest.fixture(params=[*ENGINES, *CONNECTIONS])
def any_engine(request, jobs):
    engine = {**ENGINES, **CONNECTIONS}[request.param](jobs)
    yield engine
    for end in ('close', 'dispose'):
        if hasattr(engine, end):
            getattr(engine, end)()


def test_a_task_goes_through_any_engine(any_engine):
    task = api.schedule(any_engine, 'echo', {'a': [1, 'ü', '%s :x', None]}, metadata={'who': '%'})
    assert (task.state, task.input) == ('queued', {'a': [1, 'ü', '%s :x', None]})
    assert task.metadata == {'who': '%'}
    raw = api.schedule(any_engine, 'echo', rawinputdata=b'\x00\xff%')
    assert raw.raw_input == b'\x00\xff%'
    assert api.Task.byid(any_engine, raw.tid).operation == raw.operation == task.operation
    raw.abort('%s :x')
    assert (raw.state, raw.deathinfo) == ('aborted', 'aborted %s :x')


def test_a_dsn_is_had_from_any_engine(any_engine, sql):
    with psycopg.connect(database.dsn_of(any_engine)) as connection:
        assert (
            connection.execute('select current_database()').fetchone()
            == sql('select current_database()')[0]
        )


@pytest.mark.parametrize('kind', ENGINES)
def test_what_an_engine_does_is_committed(jobs, sql, kind):
    engine = ENGINES[kind](jobs)
    task = api.schedule(engine, 'echo', 1)
    assert sql('select id from rework.task') == [(task.tid,)]
    if isinstance(engine, ConnectionPool):
        engine.close()


@pytest.mark.parametrize('kind', CONNECTIONS)
def test_what_a_connection_does_is_its_transaction(jobs, sql, kind):
    connection = CONNECTIONS[kind](jobs)
    begun = connection.begin() if hasattr(connection, 'begin') else connection
    first = api.schedule(connection, 'echo', 1)
    assert first.state == 'queued', 'it is seen within'
    assert sql('select count(*) from rework.task') == [(0,)]
    begun.rollback()
    begun = connection.begin() if hasattr(connection, 'begin') else connection
    second = api.schedule(connection, 'echo', 1)
    begun.commit()
    assert sql('select id from rework.task') == [(second.tid,)]
    connection.close()


def test_a_connection_that_commits_each_statement_goes_on_doing_so(jobs, sql):
    with psycopg.connect(jobs, autocommit=True) as connection:
        api.schedule(connection, 'echo', 1)
        assert sql('select count(*) from rework.task') == [(1,)]
        with connection.transaction(force_rollback=True):
            api.schedule(connection, 'echo', 1)
    assert sql('select count(*) from rework.task') == [(1,)]


@pytest.mark.skipif(ALCHEMY >= (2, 0), reason='newer ones have no statement without a transaction')
def test_an_old_connection_without_a_transaction_commits_as_it_always_did(jobs, sql):
    with sqlalchemy.create_engine(url(jobs, 'psycopg2')).connect() as connection:
        api.schedule(connection, 'echo', 1)
    assert sql('select count(*) from rework.task') == [(1,)]


@pytest.mark.parametrize('engine', [None, 7, ['dsn'], object()])
def test_what_is_no_engine_is_told(engine):
    with pytest.raises(TypeError, match='pass a DSN such as .* SQLAlchemy Engine .* psycopg'):
        api.schedule(engine, 'echo')


def test_an_asynchronous_connection_is_no_engine():
    with pytest.raises(TypeError, match='`engine` is a psycopg.*AsyncConnection: pass'):
        database.dsn_of(psycopg.AsyncConnection.__new__(psycopg.AsyncConnection))


@pytest.mark.parametrize('text', ['jobs', 'http://localhost', 'secret=x'])
def test_a_text_that_is_no_dsn_is_told(text):
    with pytest.raises(ReworkError) as error:
        api.schedule(text, 'echo')
    assert 'postgres://user:password@host' in error.value.hint
    assert text not in str(error.value), 'it may be a password'


def test_a_database_without_the_schema_is_told(rework_server, rework):
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
    ('has', 'serves', 'sentence', 'hint'),
    [
        (3, 3, f'is at version 3, this package needs {database.SCHEMA_VERSION}', 'init-db'),
        (999, 998, 'serves clients from 998 on', 'pip install --upgrade'),
        (999, database.SCHEMA_VERSION, None, None),
    ],
)
def test_a_schema_of_another_version(jobs, sql, has, serves, sentence, hint):
    sql('update rework.version set schema = %s, serves = %s', has, serves)
    if sentence is None:
        assert api.schedule(jobs, 'echo').state == 'queued'
        return
    with pytest.raises(ReworkError) as error:
        api.schedule(jobs, 'echo')
    assert sentence in error.value.message
    assert hint in error.value.hint


def test_the_schema_is_the_one_of_the_migrations():
    migrations = Path(__file__).parents[2] / 'migrations'
    numbers = [int(re.match(r'V(\d+)__', path.name)[1]) for path in migrations.glob('V*.sql')]
    assert max(numbers) == database.SCHEMA_VERSION


def test_errors_of_the_database_have_their_hints(jobs):
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
def test_a_server_that_is_away_is_told(kind):
    with pytest.raises(Unreachable) as error:
        api.schedule(
            ENGINES[kind]('host=127.0.0.1 port=9 dbname=x user=me password=secret'), 'echo'
        )
    assert error.value.message.startswith('cannot connect to Postgres at 127.0.0.1:9: ')
    assert 'rework dev' in error.value.hint
    assert 'secret' not in str(error.value)


@pytest.mark.parametrize('kind', ['dsn', *(f'engine {name}' for name in DRIVERS)])
def test_a_server_that_lets_nobody_in_is_told(rework_server, kind):
    parts = psycopg.conninfo.conninfo_to_dict(rework_server)
    place = f'{parts["host"]}:{parts["port"]}'
    wrong, absent = {'password': 'wrong'}, {'dbname': 'no_such_db'}
    with pytest.raises(ReworkError) as error:
        api.schedule(ENGINES[kind](psycopg.conninfo.make_conninfo(rework_server, **wrong)), 'echo')
    assert error.value.message.startswith(f'Postgres at {place} does not let us in: ')
    with pytest.raises(ReworkError) as error:
        api.schedule(ENGINES[kind](psycopg.conninfo.make_conninfo(rework_server, **absent)), 'echo')
    assert error.value.message == f'there is no database `no_such_db` at {place}'
    assert error.value.hint == 'make it: `createdb no_such_db`'


@pytest.mark.parametrize('kind', CONNECTIONS)
def test_a_closed_connection_is_told(jobs, kind):
    connection = CONNECTIONS[kind](jobs)
    task = api.schedule(connection, 'echo')
    connection.close()
    with pytest.raises(ReworkError, match='the connection is closed'):
        _ = task.state


def test_a_deadlock_stays_what_the_callers_driver_says(jobs):
    with psycopg.connect(jobs) as connection:
        connection.execute("set local lock_timeout = '10ms'")
        with pytest.raises(psycopg.errors.SerializationFailure):
            with database.session(connection) as db:
                db.driver.execute("do $$ begin raise 'again' using errcode = '40001'; end $$")


def test_connections_are_kept_and_lost_ones_are_replaced(jobs, sql):
    api.schedule(jobs, 'echo')
    pids = {pid for _, pid in _backends(sql)}
    api.schedule(jobs, 'echo')
    assert {pid for _, pid in _backends(sql)} == pids, 'one was made only'
    sql('select pg_terminate_backend(pid) from pg_stat_activity where pid = any(%s)', list(pids))
    while _backends(sql):
        pass
    assert api.schedule(jobs, 'echo').state == 'queued'


def _backends(sql):
    return sql(
        "select application_name, pid from pg_stat_activity where application_name = 'rework client' "
        'and datname = current_database()'
    )


def test_any_thread_may_ask(jobs, sql):
    failures = []

    def ask():
        try:
            for _ in range(20):
                assert api.schedule(jobs, 'echo').state == 'queued'
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sql('select count(*) from rework.task') == [(240,)]
    assert len(_backends(sql)) <= connections._IDLE_MAX


@pytest.mark.filterwarnings('ignore:.*multi-threaded.*fork:DeprecationWarning')
def test_a_forked_process_makes_connections_of_its_own(jobs, sql):
    task = api.schedule(jobs, 'echo')
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if api.schedule(jobs, 'echo').tid != task.tid else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert task.state == 'queued', 'ours is still there'
    assert sql('select count(*) from rework.task') == [(2,)]


def test_passwords_of_all_kinds_survive(rework, sql, rework_server):
    password = 'a b\'c\\d"e%/@:é'
    name = f'odd_{os.getpid()}'
    sql(f'create role {name} login superuser password {psycopg.sql.quote(password)}')
    try:
        parts = psycopg.conninfo.conninfo_to_dict(rework.dsn)
        odd = psycopg.conninfo.make_conninfo(rework.dsn, user=name, password=password)
        engines = [psycopg.connect(odd), psycopg2.connect(odd)]
        made = sqlalchemy.create_engine(
            'postgresql+psycopg2://', connect_args={**parts, 'user': name, 'password': password}
        )
        for engine in (*engines, made):
            dsn = database.dsn_of(engine)
            with psycopg.connect(dsn) as connection:
                assert connection.execute('select current_user').fetchone() == (name,)
            assert api.unprepare(engine, 1) == 0, 'the command line understands it too'
        made.dispose()
        for engine in engines:
            engine.close()
    finally:
        sql(f'drop role {name}')
