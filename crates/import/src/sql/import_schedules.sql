-- import_schedules: returns the schedules of the source. The domain is that of the schedule, not that of the
-- operation's row: the Python monitor uses the name of the operation with the domain of the schedule.
select s.id::bigint as id, o.name, s.domain, s.inputdata, s.host, nullif(s.metadata, 'null')::text as metadata, s.rule
  from rework.sched s
  join rework.operation o on o.id = s.operation
 order by s.id
