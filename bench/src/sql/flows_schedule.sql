-- flows_schedule: schedules $1 flows of 10 no-op steps, one after the other. Raises RW404 if `line` is not registered.
select count(*) from rework.schedule_many('line', array_fill('{"steps": 10}'::json, array[$1::integer]))
