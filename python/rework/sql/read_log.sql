-- read_log: returns up to `:rows` rows of the log of task `:task` that follow the row with the id `:after`. Times are
-- in whole seconds since 1970.
select id, cast(floor(extract(epoch from at)) as bigint), run, stream, level, line, continues
  from rework.log
 where task = cast(:task as bigint)
   and id > cast(:after as bigint)
 order by id
 limit cast(:rows as integer)
