-- scheduled_rule: when schedule $1 comes due, and the time by which it does
select rule, zone, rework.schedule_clock() from rework.schedule where id = $1
