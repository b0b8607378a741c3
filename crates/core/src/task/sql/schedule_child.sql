-- schedule_child: schedules a task for run $2 with token $3 of task $1, and returns its id: operation $5, domain $6,
-- input $7 as JSON or $8 as bytes, priority $9, delay $10 in milliseconds. $4 is the number of the child within the
-- run; if the run has scheduled this child before, the id of that task is returned. No row if the run is not current.
-- Raises RW404 if the operation is not registered, RW300 if $6 is null and several domains have it, RW413 if the input
-- is too large, and RW400 if a value is invalid.
with parent as materialized (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       for no key update
),
known as materialized (
    select task.id from rework.task, parent
     where task.parent = $1 and task.parent_run = $2 and task.parent_number = $4
),
made as materialized (
    select rework.schedule(
               operation => $5, domain => $6, input => $7::json, input_bytes => $8, priority => $9,
               delayed_until => clock_timestamp() + $10 * interval '1 millisecond',
               parent => $1, parent_run => $2, parent_number => $4) as id
      from parent
     where not exists (select from known)
)
select id from known union all select id from made
