-- due_schedules: returns the schedules of the domains $1 that are due, the longest due first, at most $3. Leaves out
-- the schedules $2.
select s.id, o.domain, s.rule, s.zone, s.missed, s.next_at, rework.schedule_clock() as now
  from rework.schedule s
  join rework.operation o on o.id = s.operation and o.domain = any ($1)
 where s.next_at <= rework.schedule_clock() and s.paused_at is null and s.id <> all ($2)
 order by s.next_at
 limit $3
