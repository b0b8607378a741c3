-- merge_logs: returns the next rows of the logs of tasks $1 by ascending id: of each task those after the row in $2 at
-- the same index. At most $3 rows, and no further row once the lines of the rows before it have $6 bytes. Only rows of
-- stream $4 and with a level in the array $5 are returned; a parameter that is null does not restrict them. `is_last`
-- is whether no row continues the line of this row so far.
select page.id, page.task, page.run, page.at, page.stream, page.level, page.line, page.whole, page.continues,
       page.whole or not coalesce((select later.continues
                                     from rework.log later
                                    where later.task = page.task and later.id > page.id and later.run = page.run
                                      and later.stream = page.stream and later.level = page.level
                                    order by later.id
                                    limit 1), false) as is_last
  from (select next.*, sum(octet_length(next.line)) over (order by next.id) - octet_length(next.line) as bytes_before
          from (select one.*
                  from unnest($1::bigint[], $2::bigint[]) as reader (task, last)
                 cross join lateral (
                      select log.id, log.task, log.run, log.at, log.stream, log.level, log.line, log.whole, log.continues
                        from rework.log
                       where log.task = reader.task
                         and log.id > reader.last
                         and ($4::text is null or log.stream = $4)
                         and ($5::text[] is null or log.level = any ($5))
                       order by log.id
                       limit $3) as one
                 order by one.id
                 limit $3) as next) as page
 where page.bytes_before < $6::bigint
 order by page.id
