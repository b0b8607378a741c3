-- log_start: returns the id of the row of task $1 at which reading starts: the last row of the first of the last $2
-- matching lines. Null if no line matches. A line matches if its last row is at most $3 milliseconds old, of run $4 and
-- of stream $5, and if its level is in the array $6. A parameter that is null does not restrict the lines.
--
-- A row is the last one of its line if a newline followed, or if no later row continues it.
select min(line.id) as first
  from (select log.id
          from rework.log
         where log.task = $1
           and ($3::bigint is null or log.at >= now() - $3 * interval '1 millisecond')
           and ($4::bigint is null or log.run = $4)
           and ($5::text is null or log.stream = $5)
           and ($6::text[] is null or log.level = any ($6))
           and (log.whole or not coalesce((select later.continues
                                             from rework.log later
                                            where later.task = $1 and later.id > log.id and later.run = log.run
                                              and later.stream = log.stream and later.level = log.level
                                            order by later.id
                                            limit 1), false))
         order by log.id desc
         limit $2) as line
