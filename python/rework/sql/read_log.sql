-- read_log: the next lines of a task's log after a line, at most so many; times in whole seconds since 1970
select id, cast(floor(extract(epoch from at)) as bigint), stream, level, line
  from rework.log
 where task = cast(:task as bigint)
   and id > cast(:after as bigint)
 order by id
 limit cast(:lines as integer)
