-- line_beginning: returns the rows before row $5 that are pieces of the same line, by ascending id. The line is of run
-- $2 of task $1, of stream $3 and of level $4.
select log.id, log.run, log.at, log.stream, log.level, log.line, log.whole, log.continues, false as is_last
  from rework.log
 where log.task = $1 and log.run = $2 and log.stream = $3 and log.level = $4
   and log.id < $5
   and log.id >= coalesce((select max(head.id)
                             from rework.log head
                            where head.task = $1 and head.run = $2 and head.stream = $3 and head.level = $4
                              and head.id < $5 and not head.continues), 0)
 order by log.id
