"""`Task.join`: notified ends, polls, timeouts, and broken connections."""

import datetime
import os
import subprocess
import tempfile
import threading
import time

import psycopg
import pytest

from rework import api, waiting
from rework.errors import ReworkError, TimeOut
from rework.task import Task
from test_scenarios import until


def end(sql, task):
    """End a task and notify its end, as the SQL function `complete` does."""
    ended = sql(
        "update rework.task set state = 'done' where id = %s returning "
        "case when notify_end then pg_notify('rework_end', id::text)::text end",
        task.tid,
    )
    assert ended


def join_in_thread(task, *args, **options):
    """Start a thread that joins a task. Its attribute `ends` gets the time of the end, and the error or None."""
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


def is_joined(sql, task):
    """Return whether a notification of the task's end was requested."""
    return sql('select notify_end from rework.task where id = %s', task.tid)[0][0]


def assert_joined_within(thread, start, seconds):
    thread.join(30)
    ((end, error),) = thread.ends
    assert error is None
    assert end - start < seconds


def test_join_returns_at_once_when_the_end_is_notified(jobs, sql, monkeypatch):
    monkeypatch.setattr(waiting, '_POLL_WHILE_NOTIFIED', 60.0)
    task, other = api.schedule(jobs, 'echo'), api.schedule(jobs, 'echo')
    thread = join_in_thread(task)
    until('it waits', lambda: is_joined(sql, task))
    sql("select pg_notify('rework_end', %s)", str(other.tid))
    end(sql, task)
    assert_joined_within(thread, time.monotonic(), 5)


def test_join_polls_for_an_end_that_is_not_notified(jobs, sql):
    task = api.schedule(jobs, 'echo')
    thread = join_in_thread(task)
    until('it waits', lambda: is_joined(sql, task))
    sql("update rework.task set state = 'lost'")
    assert_joined_within(thread, time.monotonic(), 5)


def test_join_with_running_returns_when_the_task_has_started(jobs, sql):
    task = api.schedule(jobs, 'echo')
    thread = join_in_thread(task, 'running')
    until('it waits', lambda: is_joined(sql, task))
    sql("update rework.task set state = 'running'")
    assert_joined_within(thread, time.monotonic(), 5)
    end(sql, task)
    task.join('running')
    task.join()


def test_join_raises_timeout_after_the_timeout(jobs):
    task = api.schedule(jobs, 'echo')
    for timeout in (0.3, datetime.timedelta(milliseconds=300)):
        start = time.monotonic()
        with pytest.raises(TimeOut) as error:
            task.join(timeout=timeout)
        assert 0.3 <= time.monotonic() - start < 5
        assert error.value.task is task
        assert isinstance(error.value, TimeoutError)
        assert error.value.message == f'task {task.tid} is queued after 0.3 s, and not done'
        assert error.value.hint == f'see `rework show-task {task.tid}`'
    with pytest.raises(ValueError, match="`target` must be 'running' or 'done'"):
        task.join('finished')


def test_join_replaces_a_broken_connection(jobs, sql, monkeypatch):
    monkeypatch.setattr(waiting, '_POLL_WHILE_NOTIFIED', 60.0)
    monkeypatch.setattr(waiting, '_RETRY_DELAY', 0.1)
    task = api.schedule(jobs, 'echo')
    thread = join_in_thread(task)
    until('it waits', lambda: is_joined(sql, task))
    sql(
        'select pg_terminate_backend(pid) from pg_stat_activity '
        "where application_name = 'rework client' and datname = current_database()"
    )
    until('it listens again', lambda: _listens(sql))
    end(sql, task)
    assert_joined_within(thread, time.monotonic(), 5)


def test_join_gives_up_if_the_database_stays_unreachable(jobs, monkeypatch):
    monkeypatch.setattr(waiting, '_MAX_UNREACHABLE', 0.3)
    monkeypatch.setattr(waiting, '_RETRY_DELAY', 0.1)
    with pytest.raises(ReworkError, match='cannot connect to Postgres at 127.0.0.1:9'):
        Task('host=127.0.0.1 port=9 dbname=x', 1, None).join()
    with pytest.raises(TimeOut):
        monkeypatch.setattr(waiting, '_MAX_UNREACHABLE', 60)
        Task('host=127.0.0.1 port=9 dbname=x', 1, None).join(timeout=0.3)


def _listens(sql):
    (count,) = sql(
        'select count(*) from pg_stat_activity where datname = current_database() '
        "and application_name = 'rework client' and query = 'listen rework_end'"
    )[0]
    return count == 1


def test_join_within_a_transaction_needs_a_committed_task(jobs, sql):
    with psycopg.connect(jobs) as connection:
        task = api.schedule(connection, 'echo')
        with pytest.raises(ReworkError, match=f'task {task.tid} is not committed') as error:
            task.join()
        assert error.value.hint == 'commit the transaction before `join`'
        connection.commit()
        # The snapshot of this transaction does not change, and it locks nothing that others need.
        connection.execute('set transaction isolation level repeatable read')
        assert task.state == 'queued'
        thread = join_in_thread(task)
        until('it waits', lambda: is_joined(sql, task))
        end(sql, task)
        assert_joined_within(thread, time.monotonic(), 5)
        assert task.state == 'queued'


def test_a_role_that_may_only_schedule_can_join(jobs, sql):
    name = f'scheduler_{os.getpid()}'
    sql(f"create role {name} login password 'x'")
    sql(f"select rework.grant_rights('{name}', 'schedule')")
    try:
        own = psycopg.conninfo.make_conninfo(jobs, user=name, password='x')
        task = api.schedule(own, 'echo')
        thread = join_in_thread(task)
        until('it listens', lambda: _listens(sql))
        end(sql, task)
        assert_joined_within(thread, time.monotonic(), 5)
        task.abort()
        with pytest.raises(ReworkError, match='permission denied') as error:
            _ = task.input
        assert 'rework init-db DSN --grant' in error.value.hint
    finally:
        sql(f'drop owned by {name}')
        sql(f'drop role {name}')


@pytest.fixture
def pooler(jobs):
    """Give the DSN of a PgBouncer that gives each transaction any of its connections."""
    program = os.environ.get('REWORK_TEST_PGBOUNCER')
    if not program:
        pytest.skip('REWORK_TEST_PGBOUNCER is not set')
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
            # PgBouncer refuses to run as root.
            for path in (folder, users, settings):
                os.chown(path, 65534, 65534)
            command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *command]
        process = subprocess.Popen(command)
        try:
            dsn = psycopg.conninfo.make_conninfo(jobs, port=port)
            until('it accepts connections', lambda: accepts_connections(dsn))
            yield dsn
        finally:
            process.kill()
            process.wait()


def accepts_connections(dsn):
    try:
        psycopg.connect(dsn).close()
        return True
    except psycopg.OperationalError:
        return False


def test_scheduling_and_joining_work_behind_a_pooler(pooler, sql):
    tasks = [api.schedule(pooler, 'echo', n) for n in range(20)]
    assert [task.input for task in tasks] == list(range(20))
    threads = [join_in_thread(task) for task in tasks[:5]]
    for thread, task in zip(threads, tasks):
        until('it waits', lambda task=task: is_joined(sql, task))
        end(sql, task)
        assert_joined_within(thread, time.monotonic(), 5)
