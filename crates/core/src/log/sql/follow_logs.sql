-- follow_logs: returns the lines of all tasks with a number above $1, and the lines with the numbers $2, at most $3.
-- The condition on `at` keeps the planner from scanning the partitions of past days, which are no longer written.
select log.id, log.task, operation.name as operation, log.stream, log.level, log.line
  from rework.log
  join rework.task on task.id = log.task
  join rework.operation on operation.id = task.operation
 where log.at > now() - interval '1 day'
   and (log.id > $1 or log.id = any ($2))
 order by log.id
 limit $3
