-- last_step_task: returns the last task that executed or reverted step $2 of flow $1, null if it has had none. `exists`
-- is whether the flow has, or had in an earlier plan, a step of this name.
with step as (
    select greatest(s.task, s.undo_task) as task
      from rework.step s
     where s.flow = $1 and s.kind = 'task' and s.name = $2
    union all
    select greatest(p.task, p.undo_task)
      from rework.past p
     where p.flow = $1 and p.step = $2
)
select count(*) > 0 as exists, max(task) as task from step
