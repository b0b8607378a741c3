-- due_schedules: returns the schedules of the domains $1 that are due, the longest due first. It returns at most 1000:
-- the next poll finds the others.
select s.id, s.rule, s.zone, s.missed, s.next_at, rework.schedule_clock() as now
  from rework.schedule s
  join rework.operation o on o.id = s.operation and o.domain = any ($1)
 where s.next_at <= rework.schedule_clock() and s.paused_at is null
 order by s.next_at
 limit 1000
