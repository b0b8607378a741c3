"""Fill a database of rework 0.17 with tasks and schedules: old_database.py DSN MODULE.

A Python with rework 0.17 runs it. It prints the ids of the tasks and schedules as JSON.
"""

import importlib.util
import json
import sys
from datetime import datetime

from sqlalchemy import create_engine

from rework import api, schema

HOST, OTHER_HOST = '192.0.2.2', '192.0.2.3'

dsn, path = sys.argv[1:]
engine = create_engine(dsn)
schema.init(engine)
spec = importlib.util.spec_from_file_location('old_operations', path)
sys.modules['old_operations'] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules['old_operations'])
api.freeze_operations(engine, hostid=HOST)
api.freeze_operations(engine, domain='default', hostid=OTHER_HOST, reset=False)

whole = {
    'text': 'hé "quoted"',
    'number': 4.5,
    'flag': True,
    'taken': datetime(1973, 5, 20, 9, 0, 0, 250000),
    'until': '(shifted (date "2024-2-3 10:00") #:months -1)',
    'photo': bytes(range(256)),
}
tasks = {
    'whole': api.schedule(engine, 'tell', whole, metadata={'by': 'me'}),
    'little': api.schedule(engine, 'tell', {'number': 2**70, 'taken': '20 May 1973', 'photo': b''}),
    'empty': api.schedule(engine, 'declares_nothing', {}, metadata={'by': 'you'}),
    'absent': api.schedule(engine, 'declares_nothing'),
    'raw': api.schedule(engine, 'shout', rawinputdata=b'some bytes \x00.', hostid=HOST),
    'elsewhere': api.schedule(engine, 'shout', rawinputdata=b'other', hostid=OTHER_HOST),
    'pickled': api.schedule(engine, 'double', {'n': 42}, hostid=HOST),
    'not_packed': api.schedule(engine, 'tell', rawinputdata=b'no frame'),
    'damaged': api.schedule(engine, 'tell', rawinputdata=b'\x28\xb5\x2f\xfd and nothing more'),
    'plain': api.schedule(engine, 'says_done', hostid=HOST),
    'ended': api.schedule(engine, 'says_done', hostid=HOST),
    'running': api.schedule(engine, 'says_done', hostid=HOST),
    'aborting': api.schedule(engine, 'says_done', hostid=HOST),
}
schedules = {
    'whole': api.prepare(engine, 'tell', '0 15 8,12 * * *', 'images', {**whole, 'number': 1}, metadata={'by': 'me'}),
    'often': api.prepare(engine, 'says_done', '*/5 * * * *', _anyrule=True),
    'pinned': api.prepare(engine, 'shout', '0 8 * * fri-sun', host=HOST, rawinputdata=b'at eight'),
    'pickled': api.prepare(engine, 'double', '0 8 * * *', inputdata=1),
}
with engine.begin() as connection:
    for name, change in {
        'ended': "status = 'done'",
        'running': "status = 'running'",
        'aborting': 'abort = true',
    }.items():
        connection.execute(f'update rework.task set {change} where id = {tasks[name].tid}')
ids = {name: task.tid for name, task in tasks.items()}
print(json.dumps({'tasks': ids, 'schedules': schedules}))
