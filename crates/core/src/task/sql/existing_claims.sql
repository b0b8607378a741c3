-- existing_claims: returns the runs that worker $1 on host $2 has claimed and not ended, with the columns of claim.sql.
-- They include those of a claim whose reply was lost. Leaves out the runs that the worker knows: run $4[n] of task
-- $3[n], with token $5[n]. Returns at most $6 runs, and stops after the one that makes inputs and metadata exceed 128
-- KiB, as they are stored. So the reply is no larger than that of a claim, and the caller repeats the statement for the
-- other runs.
with claimed as (
    select task.id, operation.version, placement.id as placement, placement.revision,
           coalesce(pg_column_size(task.input), 0) + coalesce(pg_column_size(task.input_bytes), 0)
           + coalesce(pg_column_size(task.metadata), 0) as bytes
      from rework.task
      join rework.operation on operation.id = task.operation
      join rework.placement on placement.operation = task.operation and placement.host = $2
     where task.worker = $1 and task.state in ('running', 'aborting')
       and not exists (select from unnest($3::bigint[], $4::bigint[], $5::uuid[]) as known (task, run, token)
                        where known.task = task.id and known.run = task.run and known.token = task.token)
),
sized as (
    select claimed.*, sum(claimed.bytes) over (order by claimed.id) as running_total from claimed
)
select task.id as task, task.run, task.token, task.attempt, task.operation, sized.version, sized.placement,
       sized.revision, task.input::text, task.input_bytes, task.metadata::text, task.lane, task.priority, task.position
  from sized
  join rework.task on task.id = sized.id
 where sized.running_total - sized.bytes <= 131072
 order by task.id
 limit $6
