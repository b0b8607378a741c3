"""`rework import-from` on a database that rework 0.17 itself has filled."""

import datetime
import json
import os
import subprocess
import time

from old_rework import OLD_OPERATIONS
from rework import api, binary


def imported(rework, source, *options):
    """Import a database and return the printed report."""
    # The exit code is 1, because some tasks cannot be imported.
    text = binary.run(rework.dsn, ['import-from', source, '-o', 'json', *options], accepted=(1,))
    return json.loads(text)


def run_program(rework, *args):
    """Run the program and return its exit code and stderr."""
    call = [binary.path(), *args]
    environment = binary.environment(rework.dsn)
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def new(report, old):
    """Return the ids of the imported tasks by the names that old_database.py gives them."""
    names = {tid: name for name, tid in old.tasks.items()}
    return {names[one['from']]: one['id'] for one in report['tasks'] if one['new']}


IMPORTED = {'whole', 'little', 'empty', 'absent', 'raw', 'elsewhere', 'plain'}


def test_imported_tasks_run_in_the_new_database(rework, old):
    report = imported(rework, old.dsn)
    operations = {(one['domain'], one['name'], one['new']) for one in report['operations']}
    assert operations == {
        ('images', 'tell', True),
        ('images', 'declares_nothing', True),
        ('default', 'shout', True),
        ('default', 'double', True),
        ('default', 'says_done', True),
    }
    tasks = {name: api.Task.byid(rework.dsn, tid) for name, tid in new(report, old).items()}
    assert set(tasks) == IMPORTED
    assert {task.state for task in tasks.values()} == {'queued'}
    assert report['not_queued'] == {'running': 1, 'aborting': 1, 'ended': 1}
    assert tasks['whole'].metadata == {'by': 'me'}

    rework.register(OLD_OPERATIONS)
    images = ('whole', 'little', 'empty', 'absent')
    for domain, names in {'images': images, 'default': IMPORTED.difference(images)}.items():
        with rework.workers(domain=domain):
            for name in names:
                tasks[name].join(timeout=60)
    assert {name: task.state for name, task in tasks.items()} == dict.fromkeys(IMPORTED, 'done')
    assert tasks['whole'].output == {
        'values': repr(
            [
                ('flag', True),
                ('number', 4.5),
                ('photo', bytes(range(256))),
                ('taken', datetime.datetime(1973, 5, 20, 9, 0, 0, 250000)),
                ('text', 'hé "quoted"'),
                ('until', datetime.datetime(2024, 1, 3, 10, 0)),
            ]
        )
    }
    assert f"('number', {2**70}), ('photo', b'')" in tasks['little'].output['values']
    assert tasks['empty'].output == [None, 'you']
    assert tasks['absent'].output == [None, None]
    assert tasks['raw'].raw_output == b'SOME BYTES \x00.'
    assert tasks['elsewhere'].raw_output == b'OTHER'
    assert tasks['plain'].output == 'done'


def test_an_imported_operation_keeps_its_schema_when_it_is_registered(rework, old):
    imported(rework, old.dsn)

    def listed():
        found = json.loads(binary.run(rework.dsn, ['list-operations', '-o', 'json']))
        return {one['name']: one for one in found}

    before = listed()
    assert {one['placement'] for one in before.values()} == {None}
    assert before['tell']['limits']['timeout_ms'] == 180_000
    rework.register(OLD_OPERATIONS)
    for name, after in listed().items():
        assert after['placement']['kind'] == 'python'
        for key in ('domain', 'input', 'output'):
            assert after[key] == before[name][key], (name, key)


def test_schedules_are_imported_with_zone_and_host(rework, old):
    options = ('--zone', 'Europe/Vienna', '--host', '192.0.2.2=alpha')
    report = imported(rework, old.dsn, *options)
    new_ids = {one['from']: one['id'] for one in report['schedules']}
    assert set(new_ids) == {old.schedules[name] for name in ('whole', 'often', 'pinned')}
    text = binary.run(rework.dsn, ['list-scheduled', '-o', 'json'])
    listed = {one['id']: one for one in json.loads(text)}
    assert set(listed) == set(new_ids.values())
    assert {one['zone'] for one in listed.values()} == {'Europe/Vienna'}
    whole = listed[new_ids[old.schedules['whole']]]
    assert whole['rule'] == '0 15 8,12 * * *'
    assert whole['domain'] == 'images'
    assert whole['metadata'] == {'by': 'me'}
    assert whole['input']['number'] == 1
    assert whole['input']['taken'] == '1973-05-20T09:00:00.250000'
    assert whole['input']['until'] == '(shifted (date "2024-2-3 10:00") #:months -1)'
    pinned = listed[new_ids[old.schedules['pinned']]]
    assert (pinned['host'], pinned['input_base64']) == ('alpha', 'YXQgZWlnaHQ=')
    rework.register(OLD_OPERATIONS)
    task_id = int(binary.run(rework.dsn, ['run-scheduled', str(whole['id'])]))
    with rework.workers(domain='images'):
        task = api.Task.byid(rework.dsn, task_id)
        task.join(timeout=60)
    assert task.state == 'done'


def test_what_cannot_be_imported_is_reported(rework, old):
    report = imported(rework, old.dsn)
    left = {(one['kind'], one['from']): one['reason'] for one in report['left']}
    assert set(left) == {
        ('schedule', old.schedules['pickled']),
        *(('task', old.tasks[name]) for name in ('pickled', 'not_packed', 'damaged')),
    }
    pickled = 'its input is pickled, and nothing is ever unpickled here'
    assert left['task', old.tasks['pickled']] == pickled
    assert left['schedule', old.schedules['pickled']] == pickled
    assert 'operation takes JSON' in left['task', old.tasks['not_packed']]
    assert 'its input is damaged: ' in left['task', old.tasks['damaged']]
    code, stderr = run_program(rework, 'import-from', old.dsn)
    assert code == 1
    assert 'schedule OPERATION --input' in stderr
    assert 'was not changed: its tasks are still queued there' in stderr


def test_a_second_import_adds_only_what_is_new_in_the_old_database(rework, old, sql):
    before = old.run('select * from rework.task order by id')
    first = imported(rework, old.dsn)
    schedules = sql('select id, rule from rework.schedule order by id')
    count = len(IMPORTED)
    assert sql('select count(*) from rework.task') == [(count,)]
    assert old.run('select * from rework.task order by id') == before, 'the old database is only read'

    again = imported(rework, old.dsn)
    assert new(again, old) == {}
    assert not any(one['new'] for one in again['operations'] + again['schedules'])
    assert again['left'] == first['left']
    assert sql('select id, rule from rework.schedule order by id') == schedules
    assert sql('select count(*) from rework.task') == [(count,)]

    # Tasks that are deleted in the new database are not imported again, although they are still queued in the old one.
    sql('delete from rework.task where id % 2 = 0')
    assert new(imported(rework, old.dsn), old) == {}
    plain = old.tasks['plain']
    (old.tasks['later'],) = old.run(
        "insert into rework.task (operation, status) select operation, 'queued'::rework.status "
        f'from rework.task where id = {plain} returning id'
    )[0]
    assert set(new(imported(rework, old.dsn), old)) == {'later'}


def test_an_operation_that_is_registered_already_stays_as_it_is(rework, old, sql):
    rework.register(OLD_OPERATIONS)
    binary.run(rework.dsn, ['unregister-operation', 'shout', '--yes'])
    before = sql('select * from rework.operation order by id')
    report = imported(rework, old.dsn)
    assert not any(one['new'] for one in report['operations'])
    assert sql('select * from rework.operation order by id') == before
    assert set(new(report, old)) == IMPORTED - {'raw', 'elsewhere'}
    reasons = {one['reason'] for one in report['left'] if one['operation'] == 'shout'}
    assert reasons == {'its operation is not registered any more in this database'}


def test_a_removed_schedule_is_not_imported_again(rework, old, sql):
    for one in imported(rework, old.dsn)['schedules']:
        api.unprepare(rework.dsn, one['id'])
    # Options for hosts do not change what an earlier import has created.
    again = imported(rework, old.dsn, '--host', '192.0.2.2=alpha')
    assert not any(one['new'] for one in again['schedules'])
    assert sql('select count(*) from rework.schedule') == [(0,)]
    # A table that was created again has the same ids, but other tasks, so they are imported.
    old.run('alter table rework.task rename to former')
    old.run('create table rework.task (like rework.former including all)')
    old.run('insert into rework.task select * from rework.former')
    before = sql('select count(*) from rework.task')
    assert set(new(imported(rework, old.dsn), old)) == IMPORTED
    assert sql('select count(*) from rework.task') == [(before[0][0] + len(IMPORTED),)]


def test_two_equal_schedules_are_imported_as_one(rework, old, sql):
    old.run(
        'insert into rework.sched (operation, domain, inputdata, host, metadata, rule) '
        'select operation, domain, inputdata, host, metadata, rule from rework.sched'
    )
    code, stderr = run_program(rework, 'import-from', old.dsn)
    assert code == 1
    assert 'the time zone of the new schedules is UTC' in stderr
    assert sql('select count(*) from rework.schedule') == [(3,)]


def test_two_imports_at_the_same_time_import_everything_once(rework, old, sql):
    call = [binary.path(), 'import-from', old.dsn, '-q']
    environment = binary.environment(rework.dsn)
    both = [subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [1, 1]
    assert sql('select count(*) from rework.task') == [(len(IMPORTED),)]
    assert sql('select count(*) from rework.schedule') == [(3,)]


def test_a_dry_run_changes_nothing(rework, old, sql):
    tables = ('operation', 'lane', 'schedule', 'task', 'audit')
    report = imported(rework, old.dsn, '--dry-run')
    assert set(new(report, old)) == IMPORTED
    assert report['dry_run'] is True
    assert {one['id'] for one in report['tasks'] + report['schedules']} == {None}
    assert [sql(f'select count(*) from rework.{table}') for table in tables] == [[(0,)]] * 5
    shown = binary.run(rework.dsn, ['import-from', old.dsn, '--dry-run'], accepted=(1,))
    assert 'would import operation tell images\n' in shown
    assert 'would import 2 tasks of tell images\n' in shown
    assert f'would import schedule {old.schedules["often"]} says_done default "*/5 * * * *"\n' in shown
    assert 'would import 7 tasks (0 already known, 3 skipped)\n' in shown
    assert 'not queued, so not imported: 1 running, 1 aborting, 1 ended\n' in shown
    really = imported(rework, old.dsn)
    assert really['left'] == report['left']
    assert set(new(really, old)) == IMPORTED


def test_host_addresses_are_replaced_and_running_monitors_are_reported(rework, old, sql):
    old.run("insert into rework.monitor (domain) values ('default')")
    code, stderr = run_program(rework, 'import-from', old.dsn, '--host', '192.0.2.3=beta')
    assert code == 1
    assert 'warning: a monitor of the Python rework serves database' in stderr
    assert 'only host `192.0.2.2` may run some of the schedules' in stderr
    hosts = sql('select host, count(*) from rework.task group by host order by host')
    assert hosts == [('beta', 1), (None, 6)]


def test_a_role_with_the_right_to_run_may_import(rework, old, sql):
    name = f'runs_{os.getpid()}_{time.monotonic_ns()}'
    sql(f"create role {name} login password 'little'")
    binary.run(rework.dsn, ['init-db', '--grant', f'run={name}'])
    from psycopg import conninfo

    ours = rework.dsn
    try:
        rework.dsn = conninfo.make_conninfo(ours, user=name, password='little')
        assert set(new(imported(rework, old.dsn), old)) == IMPORTED
    finally:
        rework.dsn = ours
        sql(f'drop owned by {name}; drop role {name}')


def test_a_wrong_source_is_refused_with_a_hint(rework, old, rework_server):
    for args, message in [
        ([rework.dsn], 'is one of this rework, not of the Python one'),
        ([rework_server], 'there is no schema of the Python rework in database'),
        (['postgres://nobody@127.0.0.1:1/x'], 'cannot connect to Postgres at 127.0.0.1:1'),
        (['nonsense'], 'no database named `nonsense` in rework.toml'),
        ([old.dsn, '--zone', 'Mars/Olympus'], 'there is no time zone `Mars/Olympus`'),
    ]:
        code, stderr = run_program(rework, 'import-from', *args)
        assert (code, message in stderr, 'hint: ' in stderr) == (1, True, True), stderr
    old.run('alter table rework.operation drop column inputs')
    code, stderr = run_program(rework, 'import-from', old.dsn)
    assert 'it has no `operation.inputs`' in stderr
    assert run_program(rework, 'import-from')[0] == 2
    assert run_program(rework, 'import-from', old.dsn, '--host', 'alpha')[0] == 2
