-- append_log: appends rows to the logs of runs. The row at index n of the arrays $4 to $9 belongs to run $2[n] with
-- token $3[n] of task $1[n]. Rows are stored in the order of the arrays.
-- Rows of runs that are not current are skipped. A run stays current after its end until its task is claimed again, so
-- that lines that arrive late are stored.
insert into rework.log (task, run, at, stream, level, line, whole, continues)
select given.task, given.run, given.at, given.stream, given.level, given.line, given.whole, given.continues
  from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[],
              $7::bytea[], $8::boolean[], $9::boolean[])
       with ordinality as given (task, run, token, at, stream, level, line, whole, continues, n)
 where exists (select from rework.task
                where task.id = given.task and task.run = given.run and task.token = given.token)
 order by given.n
