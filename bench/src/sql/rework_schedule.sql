-- rework_schedule: $1 tasks in one commit
select count(*) from rework.schedule_many('noop', array_fill('{"n": 1}'::json, array[$1::integer]))
