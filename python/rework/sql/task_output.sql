-- task_output: what a task has given, as JSON or as bytes, with what its operation declares
select cast(task.output as text), task.output_bytes, cast(operation.output_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
