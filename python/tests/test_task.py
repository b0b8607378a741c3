"""The attributes and methods of a task outside of its operation."""

import dataclasses
import datetime

import pytest

from rework import api
from rework.errors import ReworkError
from rework.task import Task


def test_the_attributes_of_a_missing_task_are_none(jobs):
    task = Task.byid(jobs, 7)
    assert repr(task) == 'Task(7, operation=None)'
    assert (task.id, task.tid) == (7, 7)
    properties = [name for name in dir(Task) if isinstance(getattr(Task, name), property)]
    values = {name: getattr(task, name) for name in properties if name != 'id'}
    assert set(values.values()) == {None}, values
    assert task.snapshot() is None
    assert task.logs() == []
    for method in (task.join, task.abort):
        with pytest.raises(ReworkError, match='there is no task 7'):
            method()


def test_fromqueue_says_that_only_workers_claim(jobs):
    task = api.schedule(jobs, 'echo')
    with pytest.raises(NotImplementedError, match='only a worker claims a task'):
        Task.fromqueue(jobs, 1)
    assert task.state == 'queued'


def test_the_attributes_of_a_queued_task(jobs):
    task = api.schedule(jobs, 'echo', {'n': 1}, metadata={'user': 'Bob'})
    assert repr(task) == f'Task({task.tid}, operation={task.operation})'
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
def test_status_and_aborted_follow_from_the_state(jobs, sql, state, status, aborted):
    task = api.schedule(jobs, 'echo')
    sql('update rework.task set state = %s', state)
    assert (task.state, task.status, task.aborted) == (state, status, aborted)


def test_a_failed_task_has_traceback_reason_and_progress(jobs, sql):
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


def test_a_task_has_the_output_and_log_of_a_command(jobs, rework):
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
        with pytest.raises(TypeError, match=rf'the {what} is raw bytes, which cannot be decoded: read `.raw_{what}`'):
            getattr(data, what)
    lines = dict(line.split(': ', 1) for _, line in says.logs())
    assert lines.keys() == {'stdout:INFO', 'stderr:WARNING'}
    stamp, text = lines['stdout:INFO'].split(': ')
    assert text == 'I am running'
    age = datetime.datetime.now() - datetime.datetime.strptime(stamp, '%Y-%m-%d %H:%M:%S')
    assert age < datetime.timedelta(minutes=1), 'the time is in the local zone'


def test_a_long_log_is_read_completely_or_from_a_line_on(jobs, sql):
    task, other = api.schedule(jobs, 'echo'), api.schedule(jobs, 'echo')
    count = 12_345
    sql(
        'insert into rework.log (at, task, run, stream, level, line) '
        "select timestamptz '2026-11-22 16:08:27.9 UTC', %s + n %% 2, 1, 'stdout', 'INFO', "
        'n::text::bytea from generate_series(0, %s) n',
        task.tid,
        2 * count - 1,
    )
    sql("insert into rework.log values (default, now(), %s, 1, 'a', 'ERROR', '\\xff')", other.tid)
    lines = task.logs()
    assert [line.rpartition(' ')[2] for _, line in lines] == [str(2 * n) for n in range(count)]
    expected_time = datetime.datetime(2026, 11, 22, 16, 8, 27, tzinfo=datetime.timezone.utc)
    assert lines[0][1] == f'stdout:INFO: {expected_time.astimezone():%Y-%m-%d %H:%M:%S}: 0'
    assert task.logs(fromid=lines[9_999][0]) == lines[10_000:]
    assert task.logs(fromid=lines[-1][0]) == []
    assert other.logs()[-1][1].endswith(': \N{REPLACEMENT CHARACTER}')


def test_the_rows_of_a_line_are_one_line(jobs, sql):
    task = api.schedule(jobs, 'echo')
    rows = [
        ('stderr', b'10 %\r', False, False),
        ('stdout', b'from Windows\r', True, False),
        ('stderr', b'55 %\r', False, True),
        ('stdout', b'another line', True, False),
        ('stderr', b'100 %', True, True),
        ('stdout', b'no ', False, False),
        ('stdout', b'newline', False, True),
    ]
    for stream, line, whole, continues in rows:
        sql(
            'insert into rework.log (at, task, run, stream, level, line, whole, continues) '
            "values (now(), %s, 1, %s, 'INFO', %s, %s, %s)",
            task.tid,
            stream,
            line,
            whole,
            continues,
        )
    lines = task.logs()
    texts = ['from Windows', 'another line', '100 %', 'no newline']
    assert [line.split(': ', 2)[2] for _, line in lines] == texts
    # A reader that starts inside a line gets the whole line, from its beginning.
    for index in range(len(lines)):
        assert task.logs(fromid=lines[index][0]) == lines[index + 1 :]
    last_row = sql('select max(id) from rework.log where task = %s', task.tid)[0][0]
    assert task.logs(fromid=last_row - 1) == lines[-1:]
    found = sql('select line, whole from rework.log_line where task = %s order by id', task.tid)
    assert found == [
        (b'from Windows\r', True),
        (b'another line', True),
        (b'10 %\r55 %\r100 %', True),
        (b'no newline', False),
    ]


SNAPSHOT_ATTRIBUTES = (
    'tid id operation state status aborted worker attempt deathinfo traceback progress metadata '
    'inputspec outputspec input output raw_input raw_output'
).split()


def test_a_snapshot_has_the_attributes_of_the_task(jobs, sql):
    task = api.schedule(jobs, 'echo', {'n': 1}, metadata={'user': 'Bob'})
    sql(
        "update rework.task set state = 'failed', reason = 'm', attempt = 2, error = %s, output = %s",
        '{"traceback": "Traceback\\n  oops\\n"}',
        '[1]',
    )
    snapshot = task.snapshot()
    for name in SNAPSHOT_ATTRIBUTES:
        assert getattr(snapshot, name) == getattr(task, name), name
    assert (snapshot.state, snapshot.output, snapshot.traceback) == ('failed', [1], 'Traceback\n  oops')
    raw = api.schedule(jobs, 'echo', rawinputdata=b'\xff').snapshot()
    assert raw.raw_input == b'\xff'
    with pytest.raises(TypeError, match='read `.raw_input`'):
        _ = raw.input


def test_a_snapshot_does_not_change(jobs):
    task = api.schedule(jobs, 'echo')
    snapshot = task.snapshot()
    task.abort()
    assert (snapshot.state, task.state) == ('queued', 'aborted')
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.state = 'done'


def test_the_repr_of_a_task_does_not_query_the_database():
    unreachable = 'host=127.0.0.1 port=9 dbname=x'
    assert repr(Task(unreachable, 7, 3)) == 'Task(7, operation=3)'


def test_methods_that_work_only_in_an_operation_say_so(jobs):
    task = api.schedule(jobs, 'echo')
    with pytest.raises(ReworkError, match='`save_output` works inside an operation only'):
        task.save_output(1)
    with pytest.raises(ReworkError, match='`capturelogs` works inside an operation only'):
        with task.capturelogs(std=True):
            pass


def test_abort_ends_queued_and_running_tasks_with_its_reason(jobs, rework):
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
