-- task_input: what a task is given, as JSON or as bytes, with what its operation declares
select cast(task.input as text), task.input_bytes, cast(operation.input_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
