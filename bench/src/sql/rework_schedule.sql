-- rework_schedule: schedules $1 tasks of `noop`. Raises RW404 if `noop` is not registered.
select count(*) from rework.schedule_many('noop', array_fill('{"n": 1}'::json, array[$1::integer]))
