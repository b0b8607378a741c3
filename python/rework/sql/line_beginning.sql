-- line_beginning: returns the rows before row `:before` that are pieces of the same line, with the columns of read_log.
-- The line is of run `:run` of task `:task`, and has this stream and level.
select id, cast(floor(extract(epoch from at)) as bigint), run, stream, level, line, continues
  from rework.log
 where task = cast(:task as bigint) and run = cast(:run as bigint)
   and stream = cast(:stream as text) and level = cast(:level as text)
   and id < cast(:before as bigint)
   and id >= coalesce((select max(head.id)
                         from rework.log head
                        where head.task = cast(:task as bigint) and head.run = cast(:run as bigint)
                          and head.stream = cast(:stream as text) and head.level = cast(:level as text)
                          and head.id < cast(:before as bigint) and not head.continues), 0)
 order by id
