-- scheduled_rule: when schedule $1 comes due, and the time by which it does
select id, rule, zone, rework.schedule_clock() as now from rework.schedule where id = $1
