-- append_log: lines of runs, in order: line n is $4[n] … of run $2[n] (token $3[n]) of task $1[n]. The fence:
-- only while a run is current, which it stays after its end until its task is claimed again.
insert into rework.log (task, run, at, stream, level, line, whole)
select given.task, given.run, given.at, given.stream, given.level, given.line, given.whole
  from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::bytea[], $8::boolean[])
       with ordinality as given (task, run, token, at, stream, level, line, whole, n)
 where exists (select from rework.task
                where task.id = given.task and task.run = given.run and task.token = given.token)
 order by given.n
