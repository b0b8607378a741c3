-- retriable: the state of task $1, its operation, and whether that can be scheduled still
select task.id, task.state, operation.name as operation, operation.unregistered_at is null as registered
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = $1
