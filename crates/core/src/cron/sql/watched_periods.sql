-- watched_periods: returns the periods in which a monitor watched the schedules of the domains $1.
select id, domain, since, until from rework.schedule_watch where domain = any ($1)
