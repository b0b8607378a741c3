-- retry_refusal: returns why task $1 cannot be retried: its state, and whether its operation is still registered. No
-- row if there is no such task.
select task.id, task.state, operation.name as operation, operation.unregistered_at is null as registered
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = $1
