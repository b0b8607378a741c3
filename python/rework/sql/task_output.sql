-- task_output: returns the output of task `:task`, which is JSON or bytes, with the schema that its operation declares.
select cast(task.output as text), task.output_bytes, cast(operation.output_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
