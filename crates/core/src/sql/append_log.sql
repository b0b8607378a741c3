-- append_log: lines of run $2 (token $3) of task $1, in order. The fence: only while the run is current,
-- which it stays after its end until the task is claimed again.
insert into rework.log (task, run, at, stream, level, line, whole)
select $1, $2, given.at, given.stream, given.level, given.line, given.whole
  from unnest($4::timestamptz[], $5::text[], $6::text[], $7::bytea[], $8::boolean[])
       with ordinality as given (at, stream, level, line, whole, n)
 where exists (select from rework.task where id = $1 and run = $2 and token = $3)
 order by given.n
