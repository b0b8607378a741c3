-- follow_logs: returns rows of the log, whichever task they belong to: those with an id above $1, and those with the ids
-- $2, which the caller is still missing. Returns at most $3 rows, in the order of their ids, and no further row once the
-- lines of the rows before it have $4 bytes. The condition on `at` keeps Postgres from scanning the partitions of past
-- days, which are no longer written.
select page.id, page.task, page.operation, page.run, page.at, page.stream, page.level, page.line, page.whole,
       page.continues, true as is_last
  from (select next.*, sum(octet_length(next.line)) over (order by next.id) - octet_length(next.line) as bytes_before
          from (select log.id, log.task, operation.name as operation, log.run, log.at, log.stream, log.level, log.line,
                       log.whole, log.continues
                  from rework.log
                  join rework.task on task.id = log.task
                  join rework.operation on operation.id = task.operation
                 where log.at > now() - interval '1 day'
                   and (log.id > $1 or log.id = any ($2))
                 order by log.id
                 limit $3) as next) as page
 where page.bytes_before < $4::bigint
 order by page.id
