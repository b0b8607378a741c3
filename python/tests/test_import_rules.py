"""Cron rules that `rework import-from` has imported: they fire when rework 0.17 would have fired them."""

import datetime
import json
import subprocess
import time

from old_rework import clean_environment
from rework import binary
from test_import import imported

#: Rules that people write, and rules that implementations tend to interpret differently.
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


def test_imported_rules_fire_at_the_same_instants_as_before(rework, old, old_python):
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
    expected = json.loads(subprocess.run(call, check=True, capture_output=True, env=clean_environment()).stdout)
    assert sum(map(len, expected.values())) > 10_000
    options = ('--hours', '1800', '--limit', '100000', '-o', 'json')
    actual = {rule: [] for rule in RULES}
    for due in json.loads(binary.run(rework.dsn, ['scheduled-plan', *options])):
        at = datetime.datetime.fromisoformat(due['at'].replace('Z', '+00:00'))
        if start <= at.timestamp() <= end:
            actual[rules[due['schedule']]].append(at.isoformat())
    differ = {rule: (expected[rule][:3], actual[rule][:3]) for rule in RULES if expected[rule] != actual[rule]}
    assert differ == {}
