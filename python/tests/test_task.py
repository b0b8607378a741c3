"""A task from outside: what it tells of itself, and how it is waited for."""

import datetime
import os
import signal
import subprocess
import threading
import time

import psycopg
import pytest
from test_rw import until

from rework import api, waiting
from rework.errors import ReworkError, TimeOut
from rework.task import Task


def test_a_task_that_does_not_exist_has_nothing(jobs):
    task = Task.byid(jobs, 7)
    assert repr(task) == 'Task(None, None)'
    assert (task.id, task.tid) == (7, 7)
    properties = [name for name in dir(Task) if isinstance(getattr(Task, name), property)]
    values = {name: getattr(task, name) for name in properties if name != 'id'}
    assert set(values.values()) == {None}, values
    assert task.logs() == []
    for ask in (task.join, task.abort):
        with pytest.raises(ReworkError, match='there is no task 7'):
            ask()


def test_a_queued_task(jobs):
    task = api.schedule(jobs, 'echo', {'n': 1}, metadata={'user': 'Bob'})
    assert repr(task) == f'Task({task.operation}, queued)'
    assert (task.status, task.state, task.aborted) == ('queued', 'queued', False)
    assert (task.input, task.raw_input) == ({'n': 1}, b'{"n":1}')
    assert (task.output, task.raw_output, task.worker) == (None, None, None)
    assert (task.traceback, task.deathinfo, task.progress) == (None, None, None)
    assert (task.inputspec, task.outputspec) == (None, None)
    assert (task.metadata, task.attempt) == ({'user': 'Bob'}, 0)
    assert api.schedule(jobs, 'echo').metadata == {}


@pytest.mark.parametrize(
    ('state', 'status', 'aborted'),
    [
        ('delayed', 'queued', False),
        ('waiting', 'queued', False),
        ('queued', 'queued', False),
        ('running', 'running', False),
        ('aborting', 'running', True),
        ('done', 'done', False),
        ('failed', 'done', False),
        ('aborted', 'done', True),
        ('lost', 'done', False),
    ],
)
def test_states_in_fewer_words(jobs, sql, state, status, aborted):
    task = api.schedule(jobs, 'echo')
    sql('update rework.task set state = %s', state)
    assert (task.state, task.status, task.aborted) == (state, status, aborted)


def test_what_a_failure_leaves(jobs, sql):
    task = api.schedule(jobs, 'echo')
    error = '{"kind": "E", "message": "m", "traceback": "Traceback\\n  oops\\n"}'
    sql(
        "update rework.task set state = 'failed', reason = 'm', attempt = 2, error = %s, progress = %s",
        error,
        '{"done": 1, "total": 2, "message": "half"}',
    )
    assert task.traceback == 'Traceback\n  oops'
    assert (task.deathinfo, task.attempt) == ('m', 2)
    assert task.progress == {'done': 1, 'total': 2, 'message': 'half'}


def test_commands_run(jobs, rework):
    given = {'text': 'é', 'data': b'\x00', 'at': datetime.date(2026, 11, 22)}
    echo, says, exits = (api.schedule(jobs, name, given) for name in ('echo', 'says', 'exits'))
    data = api.schedule(jobs, 'bytes', rawinputdata=b'\x00\xff')
    with rework.workers() as workers:
        for task in (echo, says, exits, data):
            task.join(timeout=30)
        assert echo.worker in workers.wids
    assert (echo.output, echo.state) == (given, 'done')
    assert (exits.state, exits.status, exits.deathinfo) == ('failed', 'done', 'exit code 3')
    assert data.raw_output == b'\x00\xff'
    for what in ('input', 'output'):
        with pytest.raises(TypeError, match=rf'cannot decipher the raw bytes: read `.raw_{what}`'):
            getattr(data, what)
    lines = dict(line.split(': ', 1) for _, line in says.logs())
    assert lines.keys() == {'stdout:INFO', 'stderr:WARNING'}
    stamp, said = lines['stdout:INFO'].split(': ')
    assert said == 'I am running'
    age = datetime.datetime.now() - datetime.datetime.strptime(stamp, '%Y-%m-%d %H:%M:%S')
    assert age < datetime.timedelta(minutes=1), 'in the local zone'


def test_a_long_log_comes_whole_and_in_parts(jobs, sql):
    task, other = api.schedule(jobs, 'echo'), api.schedule(jobs, 'echo')
    count = 12_345
    sql(
        'insert into rework.log (at, task, run, stream, level, line) '
        "select timestamptz '2026-11-22 16:08:27.9 UTC', %s + n %% 2, 1, 'stdout', 'INFO', n::text::bytea "
        'from generate_series(0, %s) n',
        task.tid,
        2 * count - 1,
    )
    sql("insert into rework.log values (default, now(), %s, 1, 'a', 'ERROR', '\\xff')", other.tid)
    lines = task.logs()
    assert [line.rpartition(' ')[2] for _, line in lines] == [str(2 * n) for n in range(count)]
    time_there = datetime.datetime(2026, 11, 22, 16, 8, 27, tzinfo=datetime.timezone.utc)
    assert lines[0][1] == f'stdout:INFO: {time_there.astimezone():%Y-%m-%d %H:%M:%S}: 0'
    assert task.logs(fromid=lines[9_999][0]) == lines[10_000:]
    assert task.logs(fromid=lines[-1][0]) == []
    assert other.logs()[-1][1].endswith(': \N{REPLACEMENT CHARACTER}')


def test_what_belongs_inside_says_so(jobs):
    task = api.schedule(jobs, 'echo')
    with pytest.raises(ReworkError, match='`save_output` works inside an operation only'):
        task.save_output(1)
    with pytest.raises(ReworkError, match='`capturelogs` works inside an operation only'):
        with task.capturelogs(std=True):
            pass


def test_abort(jobs, rework):
    queued, running = api.schedule(jobs, 'echo'), api.schedule(jobs, 'sleeps')
    queued.abort()
    assert (queued.state, queued.deathinfo) == ('aborted', 'aborted from Python')
    with rework.workers():
        running.join('running', timeout=30)
        running.abort('by the web shop')
        assert running.aborted
        running.join(timeout=30)
    assert (running.state, running.deathinfo) == ('aborted', 'aborted by the web shop')
    running.abort()
    assert running.deathinfo == 'aborted by the web shop'


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
    sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rework client'")
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
def pooler(jobs, tmp_path):
    """The DSN of a PgBouncer that gives a transaction whatever connection it has."""
    program = os.environ.get('REWORK_TEST_PGBOUNCER')
    if not program:
        pytest.skip('there is no PgBouncer')
    parts = psycopg.conninfo.conninfo_to_dict(jobs)
    port = 15_000 + os.getpid() % 5_000
    (tmp_path / 'users').write_text('"{user}" "{password}"\n'.format(**parts))
    (tmp_path / 'pooler.ini').write_text(
        '[databases]\n* = host={host} port={port}\n[pgbouncer]\n'.format(**parts)
        + f'listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n'
        'pool_mode = transaction\nauth_type = plain\nauth_file = users\nmax_prepared_statements = 0\n'
        f'logfile = {tmp_path}/pooler.log\nignore_startup_parameters = extra_float_digits\n'
    )
    os.chmod(tmp_path, 0o777)
    user = ['setpriv', '--reuid=65534', '--clear-groups'] if os.getuid() == 0 else []
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and str(folder).startswith('/tmp/'):
            folder.chmod(0o755)
    process = subprocess.Popen([*user, program, 'pooler.ini'], cwd=tmp_path)
    dsn = psycopg.conninfo.make_conninfo(jobs, port=port)

    def answers():
        try:
            psycopg.connect(dsn).close()
            return True
        except psycopg.OperationalError:
            return False

    try:
        until('it answers', answers)
        yield dsn
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_everything_works_behind_a_pooler(pooler, sql):
    tasks = [api.schedule(pooler, 'echo', n) for n in range(20)]
    assert [task.input for task in tasks] == list(range(20))
    thread = joined(tasks[0])
    until('it waits', lambda: watched(sql, tasks[0]))
    end(sql, tasks[0])
    over_after(thread, time.monotonic(), 5)
