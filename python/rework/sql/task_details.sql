-- task_details: returns the columns of task `:task` that are small, with the schemas that its operation declares. The
-- input and the output may be large, so task_input and task_output read them.
select task.operation, task.worker, task.attempt, task.reason, cast(task.error as text),
       cast(task.progress as text), cast(task.metadata as text),
       cast(operation.input_schema as text), cast(operation.output_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
