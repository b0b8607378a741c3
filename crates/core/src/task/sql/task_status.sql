-- task_status: returns the states of tasks $1, the reasons, and the pauses for which they wait (as JSON, null if they
-- wait for none), in the order of their ids.
select task.id, task.state, task.reason,
       case when task.state in ('delayed', 'queued')
            then rework.pause_of(task.operation, task.host)::text end as pause
  from rework.task
 where task.id = any ($1)
 order by task.id
