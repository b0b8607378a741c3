-- task_status: returns the states of tasks $1, the reasons, and the pauses for which they wait (as JSON, null if they
-- wait for none), in the order of their ids. `stuck` is why a flow waits for somebody who retries or aborts it, null
-- for all other tasks.
select task.id, task.state, task.reason,
       case when task.state in ('delayed', 'queued')
            then rework.pause_of(task.operation, task.host)::text end as pause,
       case when task.state in ('waiting', 'aborting') then (
           select format('revert of %s failed: %s', s.name, coalesce(t.reason, t.state))
             from rework.flow f
             join rework.step s on s.flow = f.id and s.state = 'revert_failed'
             left join rework.task t on t.id = s.undo_task
            where f.id = task.id and f.phase = 'revert_failed'
            order by s.number desc
            limit 1) end as stuck
  from rework.task
 where task.id = any ($1)
 order by task.id
