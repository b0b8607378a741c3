-- log_start: the id of the first line of task $1 among the last $2 (all where null), of those not
-- older than $3 milliseconds (any where null), of run $4, stream $5 and levels $6 (any where null)
select min(line.id) as first
  from (select log.id
          from rework.log
         where log.task = $1
           and ($3::bigint is null or log.at >= now() - $3 * interval '1 millisecond')
           and ($4::bigint is null or log.run = $4)
           and ($5::text is null or log.stream = $5)
           and ($6::text[] is null or log.level = any ($6))
         order by log.id desc
         limit $2) as line
