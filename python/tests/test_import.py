"""`rework import-from`, from a database that the Python `rework` 0.17 itself has made."""

import datetime
import json
import os
import subprocess
import time
import venv
from pathlib import Path

import pytest

from rework import api, binary

HERE = Path(__file__).parent
OPERATIONS = HERE / 'old_operations.py'
OLD = 'rework==0.17.2'


@pytest.fixture(scope='session')
def old_python(tmp_path_factory):
    """A Python that has the original, and nothing of ours."""
    folder = tmp_path_factory.mktemp('old') / 'env'
    venv.create(folder, with_pip=True)
    pip = [folder / 'bin/python', '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
    subprocess.run([*pip, OLD], check=True, env=_clean())
    return folder / 'bin/python'


@pytest.fixture
def old(old_python, rework_server):
    """The DSN of a database of the original, and the ids in it."""
    import psycopg
    from psycopg import conninfo

    name = f'old_{os.getpid()}_{time.monotonic_ns()}'
    given = {'port': 5432, **conninfo.conninfo_to_dict(rework_server)}
    dsn = 'postgresql://{user}:{password}@{host}:{port}/{name}'.format(**given, name=name)
    with psycopg.connect(rework_server, autocommit=True) as server:
        server.execute(f'create database {name}')
        try:
            made = subprocess.run(
                [old_python, HERE / 'old_database.py', dsn, OPERATIONS],
                check=False,
                env=_clean(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert made.returncode == 0, made.stderr
            yield Old(dsn, **json.loads(made.stdout))
        finally:
            server.execute(f'drop database {name} with (force)')


class Old:
    def __init__(self, dsn, tasks, schedules):
        self.dsn, self.tasks, self.schedules = dsn, tasks, schedules

    def run(self, sql):
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else None


def _clean():
    ours = ('REWORK_', 'PYTHON', 'PG')
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def imported(rework, source, *words):
    """What came of an import, by what it tells."""
    # Something is left: the code says so.
    text = binary.run(rework.dsn, ['import-from', source, '-o', 'json', *words], accepted=(1,))
    return json.loads(text)


def said(rework, *words):
    """The code, and what was said on standard error."""
    call = [binary.path(), *words]
    environment = binary.environment(rework.dsn)
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def new(report, old):
    """The tasks that came, by the names of their ids there."""
    names = {tid: name for name, tid in old.tasks.items()}
    return {names[one['from']]: one['id'] for one in report['tasks'] if one['new']}


CARRIED = {'whole', 'little', 'empty', 'absent', 'raw', 'elsewhere', 'plain'}


def test_what_is_imported_runs_here(rework, old):
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
    assert set(tasks) == CARRIED
    assert {task.state for task in tasks.values()} == {'queued'}
    assert report['not_queued'] == {'running': 1, 'aborting': 1, 'ended': 1}
    assert tasks['whole'].metadata == {'by': 'me'}

    rework.register(OPERATIONS)
    images = ('whole', 'little', 'empty', 'absent')
    for domain, names in {'images': images, 'default': CARRIED.difference(images)}.items():
        with rework.workers(domain=domain):
            for name in names:
                tasks[name].join(timeout=60)
    assert {name: task.state for name, task in tasks.items()} == dict.fromkeys(CARRIED, 'done')
    assert tasks['whole'].output == {
        'told': repr(
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
    assert f"('number', {2**70}), ('photo', b'')" in tasks['little'].output['told']
    assert tasks['empty'].output == [None, 'you']
    assert tasks['absent'].output == [None, None]
    assert tasks['raw'].raw_output == b'SOME BYTES \x00.'
    assert tasks['elsewhere'].raw_output == b'OTHER'
    assert tasks['plain'].output == 'done'


def test_operations_keep_their_schema_and_registering_changes_nothing(rework, old):
    imported(rework, old.dsn)

    def listed():
        found = json.loads(binary.run(rework.dsn, ['list-operations', '-o', 'json']))
        return {one['name']: one for one in found}

    before = listed()
    assert {one['placement'] for one in before.values()} == {None}
    assert before['tell']['limits']['timeout_ms'] == 180_000
    rework.register(OPERATIONS)
    for name, after in listed().items():
        assert after['placement']['kind'] == 'python'
        for key in ('domain', 'input', 'output'):
            assert after[key] == before[name][key], (name, key)


def test_schedules_are_prepared(rework, old):
    words = ('--zone', 'Europe/Vienna', '--host', '192.0.2.2=alpha')
    report = imported(rework, old.dsn, *words)
    came = {one['from']: one['id'] for one in report['schedules']}
    assert set(came) == {old.schedules[name] for name in ('whole', 'often', 'pinned')}
    text = binary.run(rework.dsn, ['list-scheduled', '-o', 'json'])
    listed = {one['id']: one for one in json.loads(text)}
    assert set(listed) == set(came.values())
    assert {one['zone'] for one in listed.values()} == {'Europe/Vienna'}
    whole = listed[came[old.schedules['whole']]]
    assert whole['rule'] == '0 15 8,12 * * *'
    assert whole['domain'] == 'images'
    assert whole['metadata'] == {'by': 'me'}
    assert whole['input']['number'] == 1
    assert whole['input']['taken'] == '1973-05-20T09:00:00.250000'
    assert whole['input']['until'] == '(shifted (date "2024-2-3 10:00") #:months -1)'
    pinned = listed[came[old.schedules['pinned']]]
    assert (pinned['host'], pinned['input_base64']) == ('alpha', 'YXQgZWlnaHQ=')
    rework.register(OPERATIONS)
    ran = int(binary.run(rework.dsn, ['run-scheduled', str(whole['id'])]))
    with rework.workers(domain='images'):
        task = api.Task.byid(rework.dsn, ran)
        task.join(timeout=60)
    assert task.state == 'done'


def test_what_cannot_be_imported_is_told(rework, old):
    report = imported(rework, old.dsn)
    left = {(one['kind'], one['from']): one['reason'] for one in report['left']}
    assert set(left) == {
        ('schedule', old.schedules['pickled']),
        *(('task', old.tasks[name]) for name in ('pickled', 'misfit', 'damaged')),
    }
    pickled = 'its input is pickled, and nothing is ever unpickled here'
    assert left['task', old.tasks['pickled']] == pickled
    assert left['schedule', old.schedules['pickled']] == pickled
    assert 'operation takes JSON' in left['task', old.tasks['misfit']]
    assert 'its input is damaged: ' in left['task', old.tasks['damaged']]
    code, words = said(rework, 'import-from', old.dsn)
    assert code == 1
    assert 'schedule OPERATION --input' in words
    assert 'nothing was changed in database `old_' in words


def test_a_second_import_brings_what_has_come_since(rework, old, sql):
    before = old.run('select * from rework.task order by id')
    first = imported(rework, old.dsn)
    schedules = sql('select id, rule from rework.schedule order by id')
    count = len(CARRIED)
    assert sql('select count(*) from rework.task') == [(count,)]
    assert old.run('select * from rework.task order by id') == before, 'it is only read'

    again = imported(rework, old.dsn)
    assert new(again, old) == {}
    assert not any(one['new'] for one in again['operations'] + again['schedules'])
    assert again['left'] == first['left']
    assert sql('select id, rule from rework.schedule order by id') == schedules
    assert sql('select count(*) from rework.task') == [(count,)]

    # Those that are deleted here are queued there still.
    sql('delete from rework.task where id % 2 = 0')
    assert new(imported(rework, old.dsn), old) == {}
    plain = old.tasks['plain']
    (old.tasks['later'],) = old.run(
        "insert into rework.task (operation, status) select operation, 'queued'::rework.status "
        f'from rework.task where id = {plain} returning id'
    )[0]
    assert set(new(imported(rework, old.dsn), old)) == {'later'}


def test_operations_that_are_here_stay_as_they_are(rework, old, sql):
    rework.register(OPERATIONS)
    binary.run(rework.dsn, ['unregister-operation', 'shout', '--yes'])
    before = sql('select * from rework.operation order by id')
    report = imported(rework, old.dsn)
    assert not any(one['new'] for one in report['operations'])
    assert sql('select * from rework.operation order by id') == before
    assert set(new(report, old)) == CARRIED - {'raw', 'elsewhere'}
    reasons = {one['reason'] for one in report['left'] if one['operation'] == 'shout'}
    assert reasons == {'its operation is unregistered here'}


def test_what_was_taken_away_does_not_come_back(rework, old, sql):
    for one in imported(rework, old.dsn)['schedules']:
        api.unprepare(rework.dsn, one['id'])
    # What is said of hosts the second time changes nothing of what has come.
    again = imported(rework, old.dsn, '--host', '192.0.2.2=alpha')
    assert not any(one['new'] for one in again['schedules'])
    assert sql('select count(*) from rework.schedule') == [(0,)]
    # Tables that were made anew have the same ids, and other tasks.
    old.run('alter table rework.task rename to former')
    old.run('create table rework.task (like rework.former including all)')
    old.run('insert into rework.task select * from rework.former')
    before = sql('select count(*) from rework.task')
    assert set(new(imported(rework, old.dsn), old)) == CARRIED
    assert sql('select count(*) from rework.task') == [(before[0][0] + len(CARRIED),)]


def test_two_schedules_that_are_the_same_are_one(rework, old, sql):
    old.run(
        'insert into rework.sched (operation, domain, inputdata, host, metadata, rule) '
        'select operation, domain, inputdata, host, metadata, rule from rework.sched'
    )
    code, words = said(rework, 'import-from', old.dsn)
    assert code == 1
    assert 'the rules of the new schedules are taken to name UTC' in words
    assert sql('select count(*) from rework.schedule') == [(3,)]


def test_two_imports_at_once_are_one(rework, old, sql):
    call = [binary.path(), 'import-from', old.dsn, '-q']
    environment = binary.environment(rework.dsn)
    both = [subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [1, 1]
    assert sql('select count(*) from rework.task') == [(len(CARRIED),)]
    assert sql('select count(*) from rework.schedule') == [(3,)]


def test_a_dry_run_changes_nothing(rework, old, sql):
    tables = ('operation', 'lane', 'schedule', 'task', 'audit')
    report = imported(rework, old.dsn, '--dry-run')
    assert set(new(report, old)) == CARRIED
    assert report['dry_run'] is True
    assert {one['id'] for one in report['tasks'] + report['schedules']} == {None}
    assert [sql(f'select count(*) from rework.{table}') for table in tables] == [[(0,)]] * 5
    shown = binary.run(rework.dsn, ['import-from', old.dsn, '--dry-run'], accepted=(1,))
    assert 'would import operation tell images\n' in shown
    assert 'would import 2 tasks of tell images\n' in shown
    assert (
        f'would import schedule {old.schedules["often"]} says_done default "*/5 * * * *"\n' in shown
    )
    assert 'would import 7 tasks (0 already known, 3 left)\n' in shown
    assert 'not queued, and left alone: 1 running, 1 aborting, 1 ended\n' in shown
    really = imported(rework, old.dsn)
    assert really['left'] == report['left']
    assert set(new(really, old)) == CARRIED


def test_hosts_get_their_names_and_monitors_are_told(rework, old, sql):
    old.run("insert into rework.monitor (domain) values ('default')")
    code, words = said(rework, 'import-from', old.dsn, '--host', '192.0.2.3=beta')
    assert code == 1
    assert 'warning: a monitor serves database' in words
    assert 'schedules are for host `192.0.2.2` alone' in words
    hosts = sql('select host, count(*) from rework.task group by host order by host')
    assert hosts == [('beta', 1), (None, 6)]


def test_a_role_with_the_rights_to_run_may_import(rework, old, sql):
    name = f'runs_{os.getpid()}_{time.monotonic_ns()}'
    sql(f"create role {name} login password 'little'")
    binary.run(rework.dsn, ['init-db', '--grant', f'run={name}'])
    from psycopg import conninfo

    ours = rework.dsn
    try:
        rework.dsn = conninfo.make_conninfo(ours, user=name, password='little')
        assert set(new(imported(rework, old.dsn), old)) == CARRIED
    finally:
        rework.dsn = ours
        sql(f'drop owned by {name}; drop role {name}')


def test_what_is_no_source_is_refused(rework, old, rework_server):
    for words, told in [
        ([rework.dsn], 'is one of this rework, not of the Python one'),
        ([rework_server], 'there is no schema of the Python rework in database'),
        (['postgres://nobody@127.0.0.1:1/x'], 'cannot connect to Postgres at 127.0.0.1:1'),
        (['nonsense'], '`nonsense` is no database'),
        ([old.dsn, '--zone', 'Mars/Olympus'], 'there is no time zone `Mars/Olympus`'),
    ]:
        code, stderr = said(rework, 'import-from', *words)
        assert (code, told in stderr, 'hint: ' in stderr) == (1, True, True), stderr
    old.run('alter table rework.operation drop column inputs')
    code, stderr = said(rework, 'import-from', old.dsn)
    assert 'it has no `operation.inputs`' in stderr
    assert said(rework, 'import-from')[0] == 2
    assert said(rework, 'import-from', old.dsn, '--host', 'alpha')[0] == 2


#: What people write, and what is easily read in two ways.
RULES = (
    '0 15 8,12 * * *',
    '*/7 * * * *',
    '10/20 * * * *',
    '30 0 8 1 * *',
    '0 8 * * mon-fri',
    '0 8 * * fri-sun',
    '0 8 * * 5-7',
    '5 4 * * sun',
    '15 10 * * 0,6',
    '0 0 * * 1-5/2',
    '0 0 * * MON#2',
    '0 0 * * l5',
    '0 0 L * *',
    '0 0 31 * *',
    '0 0 9-17/4 * * 7',
    '0 0 * dec 0',
    '0 0 * */3 *',
    '0 */7 * * *',
    '0 0 1,15 * 5',
    '0 0 1-7 * mon',
    '0 0 */2 * mon',
    '0 0 13 * */2',
)

INSTANTS = """
import json, sys
from datetime import datetime, timezone
from icron import croniter_range
start, end, *rules = sys.argv[1:]
start, end = (datetime.fromtimestamp(int(at), timezone.utc) for at in (start, end))
found = {rule: [at.isoformat() for at in croniter_range(start, end, rule)] for rule in rules}
print(json.dumps(found))
"""


def test_rules_come_due_when_they_did(rework, old, old_python):
    old.run('delete from rework.sched')
    for rule in RULES:
        old.run(
            'insert into rework.sched (operation, domain, rule) '
            f"select min(id), 'default', '{rule}' from rework.operation where name = 'says_done'"
        )
    report = imported(rework, old.dsn)
    rules = {one['id']: one['rule'] for one in report['schedules']}
    assert set(rules.values()) == set(RULES)
    today = int(time.time()) // 86_400 * 86_400
    start, end = today + 86_400, today + 71 * 86_400
    call = [old_python, '-c', INSTANTS, str(start), str(end), *RULES]
    there = json.loads(subprocess.run(call, check=True, capture_output=True, env=_clean()).stdout)
    assert sum(map(len, there.values())) > 10_000
    words = ('--hours', '1800', '--limit', '100000', '-o', 'json')
    here = {rule: [] for rule in RULES}
    for due in json.loads(binary.run(rework.dsn, ['scheduled-plan', *words])):
        at = datetime.datetime.fromisoformat(due['at'].replace('Z', '+00:00'))
        if start <= at.timestamp() <= end:
            here[rules[due['schedule']]].append(at.isoformat())
    differ = {
        rule: (there[rule][:3], here[rule][:3]) for rule in RULES if there[rule] != here[rule]
    }
    assert differ == {}
