-- scheduled_rule: returns rule and time zone of schedule $1, and the current time of the clock that decides when
-- schedules are due. No row if there is no such schedule.
select id, rule, zone, rework.schedule_clock() as now from rework.schedule where id = $1
