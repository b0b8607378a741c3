-- follow_logs: returns log lines, whichever task they belong to: those with a line number above $1, and those with the
-- line numbers $2, which the caller is still missing. Returns at most $3 lines, in the order of their numbers. The
-- condition on `at` keeps Postgres from scanning the partitions of past days, which are no longer written.
select log.id, log.task, operation.name as operation, log.stream, log.level, log.line
  from rework.log
  join rework.task on task.id = log.task
  join rework.operation on operation.id = task.operation
 where log.at > now() - interval '1 day'
   and (log.id > $1 or log.id = any ($2))
 order by log.id
 limit $3
