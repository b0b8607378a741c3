-- task_input: returns the input of task `:task`, which is JSON or bytes, with the schema that its operation declares.
select cast(task.input as text), task.input_bytes, cast(operation.input_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
