-- schedule_clock: the time by which schedules come due
select rework.schedule_clock() as now
