-- list_workers: returns the workers that have not ended, and those that ended within the last $1 milliseconds (null:
-- all), oldest first, each with its current task. A worker is an orphan if its lease is not that of its monitor.
select worker.id, worker.pid, worker.host, worker.domain, worker.monitor, current.id as task,
       worker.memory_bytes, worker.cpu_percent, worker.requested, worker.created_at,
       worker.started_at, worker.finished_at, worker.reason, worker.lease <> monitor.lease as orphan
  from rework.worker
  join rework.monitor on monitor.id = worker.monitor
  left join lateral (
    select task.id
      from rework.task
     where task.worker = worker.id and task.state in ('running', 'aborting')
     order by task.started_at nulls last, task.id
     limit 1) as current on worker.finished_at is null
 where worker.finished_at is null
    or $1::bigint is null
    or worker.finished_at >= now() - $1 * interval '1 millisecond'
 order by worker.id
