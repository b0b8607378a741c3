-- show_tasks: returns everything that is known about tasks $1, in the order of their ids. `pause` is the pause for
-- which a task waits, as JSON, null if it waits for none.
select task.id, operation.name as operation, operation.domain, coalesce(task.ran_on, task.host) as host, task.state,
       task.priority, task.attempt, operation.attempts, task.run, task.worker,
       task.queued_at, task.delayed_until, task.started_at, task.finished_at,
       task.input::text, task.input_bytes, task.output::text, task.output_bytes,
       task.error::text, task.reason, task.progress::text, task.unique_key, task.metadata::text,
       task.revision, task.capabilities, task.host as pinned, task.memory_peak, operation.memory_bytes as memory_limit,
       operation.timeout_ms, operation.unregistered_at is null as registered, clock_timestamp() as now,
       case when task.state in ('delayed', 'queued') then (
           select x.pause::text from rework.paused_operation x
            where x.operation = task.operation
              and (x.host is null or x.host = task.host or task.host is null and x.is_everywhere)
            order by x.host is not null, x.paused_at limit 1) end as pause
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = any ($1)
 order by task.id
