-- read_log: returns the first `:lines` lines of the log of task `:task` after the line with the id `:after`, in the
-- order of their ids. Times are in whole seconds since 1970.
select id, cast(floor(extract(epoch from at)) as bigint), stream, level, line
  from rework.log
 where task = cast(:task as bigint)
   and id > cast(:after as bigint)
 order by id
 limit cast(:lines as integer)
