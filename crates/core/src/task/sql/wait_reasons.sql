-- wait_reasons: returns the hosts that could run the queued task $1 otherwise, and whose monitor has recorded that the
-- operation is not available there, or cannot be started. No row if the task is not queued. A monitor counts as live
-- for a minute after the last renewal of its lease, because the result is only shown to people.
select t.id, m.host, coalesce(fault.unavailable, false) as unavailable, fault.reason
  from rework.task t
  join rework.operation o on o.id = t.operation
  join rework.placement p on p.operation = o.id
  join rework.monitor m on m.host = p.host
  join rework.lease l on l.id = m.lease
 cross join lateral json_to_recordset(m.start_faults)
       as fault (domain text, operation text, reason text, unavailable boolean)
 where t.id = $1 and t.state = 'queued'
   and m.finished_at is null
   and l.renewed_at > clock_timestamp() - interval '1 minute'
   and t.capabilities <@ m.capabilities
   and (t.host is null or t.host = m.host)
   and fault.domain = o.domain and fault.operation = o.name and fault.reason is not null
 order by m.host, m.id
