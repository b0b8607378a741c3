-- followers_schedule: schedules $1 tasks of `followed`. Raises RW404 if `followed` is not registered.
select count(*) from rework.schedule_many('followed', array_fill('{"n": 1}'::json, array[$1::integer]))
