-- follow_logs: the lines of all tasks after line $1, and lines $2, at most $3; only of the
-- partitions that are still written
select log.id, log.task, operation.name as operation, log.stream, log.level, log.line
  from rework.log
  join rework.task on task.id = log.task
  join rework.operation on operation.id = task.operation
 where log.at > now() - interval '1 day'
   and (log.id > $1 or log.id = any ($2))
 order by log.id
 limit $3
