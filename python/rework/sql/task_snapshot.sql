-- task_snapshot: returns everything about task `:task` in one statement: its state, its small columns, its input and
-- output, and the schemas that its operation declares.
select task.state, task.operation, task.worker, task.attempt, task.reason, cast(task.error as text),
       cast(task.progress as text), cast(task.metadata as text),
       cast(task.input as text), task.input_bytes, cast(operation.input_schema as text),
       cast(task.output as text), task.output_bytes, cast(operation.output_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
