-- schedule_child: task $1 in run $2 (token $3) schedules another, its number $4 of this run: asked
-- again, it is the same. Operation $5, domain $6, input $7 (JSON) or $8 (bytes), priority $9,
-- not before $10 milliseconds from now.
-- No row: the run is not current any more.
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
