-- list_scheduled: returns the schedules of domain $1 (null: all domains), each with its last firing (the last instant
-- at which it was due, with the task that was made or the reason why none was).
select s.id, o.name as operation, o.domain, s.rule, s.zone, s.host, s.priority, s.capabilities,
       s.input::text, s.input_bytes, s.metadata::text, s.missed, s.overlap, s.next_at, s.paused_at,
       s.declared_at, o.unregistered_at is not null as unregistered, last.due_at, last.task, last.reason
  from rework.schedule s
  join rework.operation o on o.id = s.operation
  left join lateral (
    select firing.due_at, firing.task, firing.reason
      from rework.firing
     where firing.schedule = s.id
     order by firing.due_at desc
     limit 1) as last on true
 where $1::text is null or o.domain = $1
 order by o.name, o.domain, s.id
