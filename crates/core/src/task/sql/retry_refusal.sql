-- retry_refusal: returns why task $1 cannot be retried: its state, whether its operation is still registered, the flow
-- and the name of the step that it is, and whether it is itself a flow with a plan. No row if there is no such task.
select task.id, task.state, operation.name as operation, operation.unregistered_at is null as registered, task.flow,
       coalesce((select p.step from rework.past p where p.flow = task.flow and task.id in (p.task, p.undo_task) limit 1),
                (select s.name from rework.step s where s.flow = task.flow and s.number = task.step)) as step,
       exists (select from rework.flow where flow.id = task.id) as is_flow
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = $1
