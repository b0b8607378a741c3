-- list_workers: those that live, and those that ended within the last $1 milliseconds (all where
-- null), first one first, each with the task in hand. `orphan`: its monitor's lease is not its own.
select worker.id, worker.pid, worker.host, worker.domain, worker.monitor, held.id as task,
       worker.memory_bytes, worker.cpu_percent, worker.asked, worker.created_at,
       worker.started_at, worker.finished_at, worker.reason, worker.lease <> monitor.lease as orphan
  from rework.worker
  join rework.monitor on monitor.id = worker.monitor
  left join lateral (
    select task.id
      from rework.task
     where task.worker = worker.id and task.state in ('running', 'aborting')
     order by task.started_at nulls last, task.id
     limit 1) as held on worker.finished_at is null
 where worker.finished_at is null
    or $1::bigint is null
    or worker.finished_at >= now() - $1 * interval '1 millisecond'
 order by worker.id
