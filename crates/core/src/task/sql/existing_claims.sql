-- existing_claims: returns the runs that worker $1 on host $2 has claimed and not ended, with the columns of claim.sql.
-- They include those of a claim whose reply was lost.
select task.id as task, task.run, task.token, task.attempt, task.operation, operation.version,
       placement.id as placement, placement.revision, task.input::text, task.input_bytes, task.metadata::text,
       task.lane, task.priority, task.position
  from rework.task
  join rework.operation on operation.id = task.operation
  join rework.placement on placement.operation = task.operation and placement.host = $2
 where task.worker = $1 and task.state in ('running', 'aborting')
