-- import_schedules: what the Python rework has prepared. Its monitor goes by the name of the operation and the
-- domain of the schedule, whatever domain the operation's own row names
select s.id::bigint as id, o.name, s.domain, s.inputdata, s.host, nullif(s.metadata, 'null')::text as metadata, s.rule
  from rework.sched s
  join rework.operation o on o.id = s.operation
 order by s.id
