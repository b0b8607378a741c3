-- task_facts: what is known about a task, but for what may be large
select task.operation, task.worker, task.attempt, task.reason, cast(task.error as text),
       cast(task.progress as text), cast(task.metadata as text),
       cast(operation.input_schema as text), cast(operation.output_schema as text)
  from rework.task
  join rework.operation on operation.id = task.operation
 where task.id = cast(:task as bigint)
