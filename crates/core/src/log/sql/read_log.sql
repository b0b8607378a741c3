-- read_log: returns the next $3 lines of task $1 after line $2, by ascending id. Only lines of run $4, of stream $5 and
-- with a level in the array $6 are returned; a parameter that is null does not restrict them.
select log.id, log.run, log.at, log.stream, log.level, log.line, log.whole
  from rework.log
 where log.task = $1
   and log.id > $2
   and ($4::bigint is null or log.run = $4)
   and ($5::text is null or log.stream = $5)
   and ($6::text[] is null or log.level = any ($6))
 order by log.id
 limit $3
