-- schedule_clock: returns the current time of the clock that decides when schedules are due.
select rework.schedule_clock() as now
