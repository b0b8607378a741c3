-- held: what worker $1 on host $2 holds: a claim whose answer was lost
select task.id, task.run, task.token, task.attempt, task.operation, operation.version,
       placement.id, placement.revision, task.input::text, task.input_bytes, task.metadata::text,
       task.lane, task.priority, task.position, task.ctid
  from rework.task
  join rework.operation on operation.id = task.operation
  join rework.placement on placement.operation = task.operation and placement.host = $2
 where task.worker = $1 and task.state in ('running', 'aborting')
