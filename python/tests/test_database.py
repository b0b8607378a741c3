"""The database through all kinds of engines."""

import os
import subprocess
import sys
import threading

import psycopg
import psycopg2
import pytest
import sqlalchemy

from engines import ALCHEMY, CONNECTIONS, ENGINES, url
from rework import api, connections, database
from rework.errors import ReworkError, TimeOut, UnknownOperation
from test_scenarios import until


@pytest.fixture(params=[*ENGINES, *CONNECTIONS])
def any_engine(request, jobs):
    engine = {**ENGINES, **CONNECTIONS}[request.param](jobs)
    yield engine
    for end in ('close', 'dispose'):
        if hasattr(engine, end):
            getattr(engine, end)()


def test_a_task_can_be_used_through_any_engine(any_engine):
    task = api.schedule(any_engine, 'echo', {'a': [1, 'ü', '%s :x', None]}, metadata={'who': '%'})
    assert (task.state, task.input) == ('queued', {'a': [1, 'ü', '%s :x', None]})
    assert task.metadata == {'who': '%'}
    raw = api.schedule(any_engine, 'echo', rawinputdata=b'\x00\xff%')
    assert raw.raw_input == b'\x00\xff%'
    assert api.Task.byid(any_engine, raw.tid).operation == raw.operation == task.operation
    raw.abort('%s :x')
    assert (raw.state, raw.deathinfo) == ('aborted', 'aborted %s :x')


def test_the_dsn_of_any_engine_is_found(any_engine, sql):
    with psycopg.connect(database.dsn_of(any_engine)) as connection:
        assert connection.execute('select current_database()').fetchone() == sql('select current_database()')[0]


@pytest.mark.parametrize('kind', ENGINES)
def test_calls_on_an_engine_are_committed(jobs, sql, kind):
    engine = ENGINES[kind](jobs)
    task = api.schedule(engine, 'echo', 1)
    assert sql('select id from rework.task') == [(task.tid,)]
    if kind == 'pool':
        engine.close()


@pytest.mark.parametrize('kind', CONNECTIONS)
def test_calls_on_a_connection_belong_to_its_transaction(jobs, sql, kind):
    connection = CONNECTIONS[kind](jobs)
    transaction = connection.begin() if hasattr(connection, 'begin') else connection
    first = api.schedule(connection, 'echo', 1)
    assert first.state == 'queued', 'it is visible within the transaction'
    assert sql('select count(*) from rework.task') == [(0,)]
    transaction.rollback()
    transaction = connection.begin() if hasattr(connection, 'begin') else connection
    second = api.schedule(connection, 'echo', 1)
    transaction.commit()
    assert sql('select id from rework.task') == [(second.tid,)]
    connection.close()


def test_calls_on_an_autocommit_connection_are_committed(jobs, sql):
    with psycopg.connect(jobs, autocommit=True) as connection:
        api.schedule(connection, 'echo', 1)
        assert sql('select count(*) from rework.task') == [(1,)]
        with connection.transaction(force_rollback=True):
            api.schedule(connection, 'echo', 1)
    assert sql('select count(*) from rework.task') == [(1,)]


@pytest.mark.skipif(ALCHEMY >= (2, 0), reason='SQLAlchemy 2 runs no statement without a transaction')
def test_a_call_on_a_sqlalchemy_1_connection_without_a_transaction_is_committed(jobs, sql):
    with sqlalchemy.create_engine(url(jobs, 'psycopg2')).connect() as connection:
        api.schedule(connection, 'echo', 1)
    assert sql('select count(*) from rework.task') == [(1,)]


def test_an_unknown_driver_works_through_sqlalchemy_where_no_dsn_is_needed(jobs):
    pytest.importorskip('pg8000')
    engine = sqlalchemy.create_engine(url(jobs, 'pg8000'))
    task = api.schedule(engine, 'echo', {'a': '%s :x'}, capabilities=['gpu'])
    assert task.input == {'a': '%s :x'}
    assert api.schedule(engine, 'echo', rawinputdata=b'\x00\xff').raw_input == b'\x00\xff'
    with pytest.raises(UnknownOperation) as error:
        api.schedule(engine, 'nope')
    assert error.value.hint == 'see `rework list-operations`'
    with pytest.raises(TimeOut):
        task.join(timeout=0.1)
    with pytest.raises(ReworkError, match='does not reveal the DSN of its database'):
        api.unprepare(engine, 1)
    engine.dispose()


def test_a_driver_is_imported_only_when_it_is_needed():
    script = (
        'import sys; sys.modules["psycopg"] = None\n'
        'from rework import api\n'
        'api.schedule("postgres://localhost/x", "echo")'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert 'ReworkError: psycopg is not installed\nhint: `pip install' in done.stderr


def test_connections_are_reused_and_broken_ones_are_replaced(jobs, sql):
    api.schedule(jobs, 'echo')
    pids = {pid for _, pid in _backends(sql)}
    api.schedule(jobs, 'echo')
    assert {pid for _, pid in _backends(sql)} == pids, 'only one was opened'
    sql('select pg_terminate_backend(pid) from pg_stat_activity where pid = any(%s)', list(pids))
    until('they are closed', lambda: not _backends(sql))
    assert api.schedule(jobs, 'echo').state == 'queued'


def _backends(sql):
    return sql(
        'select application_name, pid from pg_stat_activity '
        "where application_name = 'rework client' and datname = current_database()"
    )


def test_many_threads_may_schedule_at_once(jobs, sql):
    failures = []

    def schedule_some():
        try:
            for _ in range(20):
                assert api.schedule(jobs, 'echo').state == 'queued'
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=schedule_some) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sql('select count(*) from rework.task') == [(240,)]
    until('the others are closed', lambda: len(_backends(sql)) <= connections._IDLE_MAX)


@pytest.mark.filterwarnings('ignore:.*multi-threaded.*fork:DeprecationWarning')
def test_a_forked_process_opens_its_own_connections(jobs, sql):
    task = api.schedule(jobs, 'echo')
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if api.schedule(jobs, 'echo').tid != task.tid else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert task.state == 'queued', 'the connection of the parent still works'
    assert sql('select count(*) from rework.task') == [(2,)]


def test_a_password_with_special_characters_is_passed_on(rework, sql, rework_server):
    password = 'a b\'c\\d"e%/@:é'
    name = f'odd_{os.getpid()}'
    sql(f'create role {name} login superuser password {psycopg.sql.quote(password)}')
    try:
        parts = psycopg.conninfo.conninfo_to_dict(rework.dsn)
        odd = psycopg.conninfo.make_conninfo(rework.dsn, user=name, password=password)
        engines = [psycopg.connect(odd), psycopg2.connect(odd)]
        alchemy_engine = sqlalchemy.create_engine(
            'postgresql+psycopg2://', connect_args={**parts, 'user': name, 'password': password}
        )
        for engine in (*engines, alchemy_engine):
            dsn = database.dsn_of(engine)
            with psycopg.connect(dsn) as connection:
                assert connection.execute('select current_user').fetchone() == (name,)
            assert api.unprepare(engine, 1) == 0, 'the command line reads it too'
        alchemy_engine.dispose()
        for engine in engines:
            engine.close()
    finally:
        sql(f'drop role {name}')
