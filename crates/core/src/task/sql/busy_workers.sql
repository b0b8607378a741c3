-- busy_workers: returns the number of workers that could run the queued task $1, how many of them run tasks, and these
-- tasks. No row if the task is not queued. A monitor counts as live for a minute after the last renewal of its lease,
-- because the result is only shown to people.
select t.id, o.domain, count(*) as workers, count(busy.task) as busy,
       array_agg(busy.task order by busy.task) filter (where busy.task is not null) as tasks
  from rework.task t
  join rework.operation o on o.id = t.operation
  join rework.placement p on p.operation = o.id
  join rework.worker w on w.host = p.host and w.domain = o.domain
  join rework.monitor m on m.id = w.monitor
  join rework.lease l on l.id = m.lease
  left join lateral (select r.id as task from rework.task r
                      where r.worker = w.id and r.state in ('running', 'aborting') limit 1) as busy on true
 where t.id = $1 and t.state = 'queued'
   and w.finished_at is null and w.started_at is not null
   and m.finished_at is null
   and l.renewed_at > clock_timestamp() - interval '1 minute'
   and t.capabilities <@ m.capabilities
   and (t.host is null or t.host = w.host)
 group by t.id, o.domain
