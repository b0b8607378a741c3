-- due_schedules: returns the schedules of the domains $1 that are due, the longest due first, at most $4. They begin
-- behind schedule $3, which is due since $2 (null: begin with the first one).
select s.id, o.domain, s.rule, s.zone, s.missed, s.next_at, s.next_at::text as due_since,
       rework.schedule_clock() as now
  from rework.schedule s
  join rework.operation o on o.id = s.operation and o.domain = any ($1)
 where s.next_at <= rework.schedule_clock() and s.paused_at is null
   and ($2::text is null or (s.next_at, s.id) > ($2::text::timestamptz, $3::bigint))
 order by s.next_at, s.id
 limit $4
