-- read_log: returns the next rows of the log of task $1 after row $2, by ascending id: at most $3 rows, and no further
-- row once the lines of the rows before it have $7 bytes. Only rows of run $4, of stream $5 and with a level in the
-- array $6 are returned; a parameter that is null does not restrict them. `is_last` is whether no row continues the
-- line of this row so far.
select page.id, page.run, page.at, page.stream, page.level, page.line, page.whole, page.continues,
       page.whole or not coalesce((select later.continues
                                     from rework.log later
                                    where later.task = $1 and later.id > page.id and later.run = page.run
                                      and later.stream = page.stream and later.level = page.level
                                    order by later.id
                                    limit 1), false) as is_last
  from (select next.*, sum(octet_length(next.line)) over (order by next.id) - octet_length(next.line) as bytes_before
          from (select log.id, log.run, log.at, log.stream, log.level, log.line, log.whole, log.continues
                  from rework.log
                 where log.task = $1
                   and log.id > $2
                   and ($4::bigint is null or log.run = $4)
                   and ($5::text is null or log.stream = $5)
                   and ($6::text[] is null or log.level = any ($6))
                 order by log.id
                 limit $3) as next) as page
 where page.bytes_before < $7::bigint
 order by page.id
