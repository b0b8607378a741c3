-- show_tasks: returns everything that is known about tasks $1, in the order of their ids. `waits_for` and `followed_by`
-- are texts for people; `followed_by` has the tasks that follow the end of a task, and `ran_after` those that it does not
-- wait for any more, at most five each. `pause` is the pause for which a task waits, as JSON, null if it waits for none.
-- `step_name` is the name of the step of a flow that the task is, and `reverts_step` whether it reverts the step.
-- `is_flow` is whether the task is itself a flow, also if it has no plan.
select task.id, operation.name as operation, operation.domain, coalesce(task.ran_on, task.host) as host, task.state,
       task.priority, task.attempt,
       coalesce((task.retry ->> 'attempts')::integer, operation.attempts) as attempts, task.run, task.worker,
       task.queued_at, task.delayed_until, task.started_at, task.finished_at,
       task.input::text, task.input_bytes, task.output::text, task.output_bytes,
       task.error::text, task.reason, task.progress::text, task.unique_key, task.metadata::text,
       task.revision, task.capabilities, task.host as pinned, task.memory_peak, operation.memory_bytes as memory_limit,
       operation.timeout_ms, operation.unregistered_at is null as registered, clock_timestamp() as now,
       coalesce(task.retry, operation.retry)::text as retry,
       case when task.state = 'waiting' then rework.waits_for(task.id, task.awaits) end as waits_for,
       case when task.state <> 'waiting' then (
           select string_agg(format('task %s (%s)', before.task, before.state), ', ' order by before.task)
                      filter (where before.number <= 5)
                  || case when count(*) > 5 then ' and more' else '' end
             from (select e.task, coalesce(p.state, e.ended_as, 'deleted') as state, row_number() over (order by e.id) as number
                     from rework.edge e
                     left join rework.task p on p.id = e.task
                    where e.successor = task.id
                    limit 6) as before) end as ran_after,
       (select string_agg(format('task %s (%s)', next.id, next.state), ', ' order by next.id)
                   filter (where next.number <= 5)
               || case when count(*) > 5 then ' and more' else '' end
          from (select near.id, near.state, row_number() over (order by near.id) as number
                  from (select f.id, f.state::text as state from rework.task f
                         where f.parent = task.id and f.parent_number < 0
                         union
                        select s.id, s.state::text from rework.edge e
                          join rework.task s on s.id = e.successor
                         where e.task = task.id
                         order by 1 limit 6) as near) as next) as followed_by,
       case when task.state in ('delayed', 'queued')
            then rework.pause_of(task.operation, task.host)::text end as pause,
       task.flow,
       coalesce(step.name, past.name,
                (select s.name from rework.step s where s.flow = task.flow and s.number = task.step)) as step_name,
       coalesce(step.reverts, past.reverts, false) as reverts_step,
       operation.is_flow or exists (select from rework.flow where flow.id = task.id) as is_flow
  from rework.task
  join rework.operation on operation.id = task.operation
  left join lateral (
      select s.name, coalesce(s.undo_task = task.id, false) as reverts
        from rework.step s
       where s.flow = task.flow and s.number = task.step and task.id in (s.task, s.undo_task)) as step on true
  -- In an earlier plan, another step may have had the same number.
  left join lateral (
      select p.step as name, coalesce(p.undo_task = task.id, false) as reverts
        from rework.past p
       where p.flow = task.flow and step.name is null and task.id in (p.task, p.undo_task)
       limit 1) as past on true
 where task.id = any ($1)
 order by task.id
