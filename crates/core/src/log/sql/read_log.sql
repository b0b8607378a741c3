-- read_log: the next lines of task $1 after line $2, at most $3, of run $4, stream $5 and levels $6 (any where null)
select log.id, log.run, log.at, log.stream, log.level, log.line, log.whole
  from rework.log
 where log.task = $1
   and log.id > $2
   and ($4::bigint is null or log.run = $4)
   and ($5::text is null or log.stream = $5)
   and ($6::text[] is null or log.level = any ($6))
 order by log.id
 limit $3
