"""Waiting for tasks: at once when their end is notified, and whatever gets in the way."""

import datetime
import os
import subprocess
import tempfile
import threading
import time

import psycopg
import pytest
from test_scenarios import until

from rework import api, waiting
from rework.errors import ReworkError, TimeOut
from rework.task import Task


def end(sql, task):
    """As `complete` does."""
    ended = sql(
        "update rework.task set state = 'done' where id = %s returning "
        "case when watched then pg_notify('rework_end', id::text)::text end",
        task.tid,
    )
    assert ended


def joined(task, *args, **options):
    """A thread that waits, and when it was over."""
    ends = []

    def wait():
        try:
            task.join(*args, **options)
            ends.append((time.monotonic(), None))
        except Exception as error:
            ends.append((time.monotonic(), error))

    thread = threading.Thread(target=wait)
    thread.ends = ends
    thread.start()
    return thread


def watched(sql, task):
    return sql('select watched from rework.task where id = %s', task.tid)[0][0]


def over_after(thread, begun, seconds):
    thread.join(30)
    ((at, error),) = thread.ends
    assert error is None
    assert at - begun < seconds


def test_an_end_is_notified(jobs, sql, monkeypatch):
    monkeypatch.setattr(waiting, '_LOOK', 60.0)
    task, other = api.schedule(jobs, 'echo'), api.schedule(jobs, 'echo')
    thread = joined(task)
    until('it waits', lambda: watched(sql, task))
    sql("select pg_notify('rework_end', %s)", str(other.tid))
    end(sql, task)
    over_after(thread, time.monotonic(), 5)


def test_an_end_that_nobody_notifies_is_seen(jobs, sql):
    task = api.schedule(jobs, 'echo')
    thread = joined(task)
    until('it waits', lambda: watched(sql, task))
    sql("update rework.task set state = 'lost'")
    over_after(thread, time.monotonic(), 5)


def test_a_beginning_is_seen(jobs, sql):
    task = api.schedule(jobs, 'echo')
    thread = joined(task, 'running')
    until('it waits', lambda: watched(sql, task))
    sql("update rework.task set state = 'running'")
    over_after(thread, time.monotonic(), 5)
    end(sql, task)
    task.join('running')
    task.join()


def test_waiting_too_long(jobs):
    task = api.schedule(jobs, 'echo')
    for timeout in (0.3, datetime.timedelta(milliseconds=300)):
        begun = time.monotonic()
        with pytest.raises(TimeOut) as error:
            task.join(timeout=timeout)
        assert 0.3 <= time.monotonic() - begun < 5
        assert error.value.task is task
        assert isinstance(error.value, TimeoutError)
        assert error.value.message == f'task {task.tid} is queued after 0.3 s, and not done'
        assert error.value.hint == f'`rework show-task {task.tid}` tells where it is'
    with pytest.raises(AssertionError, match="`target` is 'running' or 'done'"):
        task.join('finished')


def test_a_lost_connection_is_made_anew(jobs, sql, monkeypatch):
    monkeypatch.setattr(waiting, '_LOOK', 60.0)
    monkeypatch.setattr(waiting, '_RETRY', 0.1)
    task = api.schedule(jobs, 'echo')
    thread = joined(task)
    until('it waits', lambda: watched(sql, task))
    sql(
        'select pg_terminate_backend(pid) from pg_stat_activity '
        "where application_name = 'rework client' and datname = current_database()"
    )
    until('it is back', lambda: _listens(sql))
    end(sql, task)
    over_after(thread, time.monotonic(), 5)


def test_a_database_that_is_away_is_waited_for_only_so_long(jobs, monkeypatch):
    monkeypatch.setattr(waiting, '_AWAY', 0.3)
    monkeypatch.setattr(waiting, '_RETRY', 0.1)
    with pytest.raises(ReworkError, match='cannot connect to Postgres at 127.0.0.1:9'):
        Task('host=127.0.0.1 port=9 dbname=x', 1, None).join()
    with pytest.raises(TimeOut):
        monkeypatch.setattr(waiting, '_AWAY', 60)
        Task('host=127.0.0.1 port=9 dbname=x', 1, None).join(timeout=0.3)


def _listens(sql):
    (count,) = sql(
        'select count(*) from pg_stat_activity where datname = current_database() '
        "and application_name = 'rework client' and query = 'listen rework_end'"
    )[0]
    return count == 1


def test_within_a_transaction_waiting_would_never_end(jobs, sql):
    with psycopg.connect(jobs) as connection:
        task = api.schedule(connection, 'echo')
        with pytest.raises(ReworkError, match=f'task {task.tid} is not committed') as error:
            task.join()
        assert error.value.hint == 'commit the transaction before `join`'
        connection.commit()
        # What this transaction sees stays as it is, and it holds nothing that others need.
        connection.execute('set transaction isolation level repeatable read')
        assert task.state == 'queued'
        thread = joined(task)
        until('it waits', lambda: watched(sql, task))
        end(sql, task)
        over_after(thread, time.monotonic(), 5)
        assert task.state == 'queued'


def test_who_may_only_schedule_can_wait(jobs, sql):
    name = f'scheduler_{os.getpid()}'
    sql(f"create role {name} login password 'x'")
    sql(f"select rework.grant_rights('{name}', 'schedule')")
    try:
        own = psycopg.conninfo.make_conninfo(jobs, user=name, password='x')
        task = api.schedule(own, 'echo')
        thread = joined(task)
        until('it listens', lambda: _listens(sql))
        end(sql, task)
        over_after(thread, time.monotonic(), 5)
        task.abort()
        with pytest.raises(ReworkError, match='permission denied') as error:
            _ = task.input
        assert 'rework init-db DSN --grant' in error.value.hint
    finally:
        sql(f'drop owned by {name}')
        sql(f'drop role {name}')


@pytest.fixture
def pooler(jobs):
    """The DSN by way of a PgBouncer that gives each transaction whatever connection it has."""
    program = os.environ.get('REWORK_TEST_PGBOUNCER')
    if not program:
        pytest.skip('there is no PgBouncer')
    parts = psycopg.conninfo.conninfo_to_dict(jobs)
    port = 14_000 + os.getpid() % 5_000
    with tempfile.TemporaryDirectory() as folder:
        users, settings, log = (os.path.join(folder, name) for name in ('users', 'ini', 'log'))
        with open(users, 'w') as file:
            file.write('"{user}" "{password}"\n'.format(**parts))
        with open(settings, 'w') as file:
            file.write(
                f'[databases]\n* = host={parts["host"]} port={parts["port"]}\n[pgbouncer]\n'
                f'listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n'
                f'auth_type = scram-sha-256\nauth_file = {users}\nlogfile = {log}\n'
                'pool_mode = transaction\ndefault_pool_size = 2\n'
            )
        command = [program, '--quiet', settings]
        if os.getuid() == 0:
            # It refuses to run as root.
            for path in (folder, users, settings):
                os.chown(path, 65534, 65534)
            command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *command]
        process = subprocess.Popen(command)
        try:
            dsn = psycopg.conninfo.make_conninfo(jobs, port=port)
            until('it answers', lambda: answers(dsn))
            yield dsn
        finally:
            process.kill()
            process.wait()


def answers(dsn):
    try:
        psycopg.connect(dsn).close()
        return True
    except psycopg.OperationalError:
        return False


def test_everything_works_behind_a_pooler(pooler, sql):
    tasks = [api.schedule(pooler, 'echo', n) for n in range(20)]
    assert [task.input for task in tasks] == list(range(20))
    threads = [joined(task) for task in tasks[:5]]
    for thread, task in zip(threads, tasks):
        until('it waits', lambda task=task: watched(sql, task))
        end(sql, task)
        over_after(thread, time.monotonic(), 5)
