-- schedule_child: schedules a task for run $2 with token $3 of task $1, and returns its id: operation $5, domain $6,
-- input $7 as JSON or $8 as bytes, priority $9, delay $10 in milliseconds. $4 is the number of the child within the
-- run; if the run has scheduled this child before, the id of that task is returned. Null if the run is not current. The
-- function is in migrations/V11__schedule.sql. Raises the errors of schedule.sql.
select rework.schedule_child(
           parent => $1, run => $2, token => $3, number => $4, operation => $5, domain => $6,
           input => $7, input_bytes => $8, priority => $9,
           delayed_until => clock_timestamp() + $10 * interval '1 millisecond') as id
