-- task_status: returns the states of tasks $1, the reasons, and the pauses for which they wait (as JSON, null if they
-- wait for none), in the order of their ids.
select task.id, task.state, task.reason,
       case when task.state in ('delayed', 'queued') then (
           select x.pause::text from rework.paused_operation x
            where x.operation = task.operation
              and (x.host is null or x.host = task.host or task.host is null and x.is_everywhere)
            order by x.host is not null, x.paused_at limit 1) end as pause
  from rework.task
 where task.id = any ($1)
 order by task.id
