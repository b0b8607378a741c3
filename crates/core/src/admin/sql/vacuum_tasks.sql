-- vacuum_tasks: scans the next 10000 tasks by id, and deletes up to 1000 old ones with their log lines and unique keys.
-- Returns how many were deleted, and the id after which the next call continues (null: the table is finished). The two
-- limits keep each statement short, so that workers are not disturbed.
--
-- $1 the id after which the scan starts, $2 states, $3 domain (null: all domains), $4 minimum age in milliseconds
--
-- A task whose state changed meanwhile (it was retried or claimed) is kept, and so is one that another transaction has
-- locked. So this statement waits for nobody, and cannot deadlock with transactions that schedule tasks after others.
-- The edges of a deleted task are followed by a trigger (migrations/V20__edge.sql). The task of a step is kept until its
-- flow is deleted, which another trigger follows (migrations/V24__flow.sql).
with scanned as materialized (
    select t.id, t.state, t.operation, t.flow, coalesce(t.finished_at, t.queued_at) as since
      from rework.task t
     where t.id > $1
     order by t.id
     limit 10000
),
-- Flows are locked before their own tasks.
flows as materialized (
    select f.id
      from scanned
      join rework.flow f on f.id = scanned.id
     where scanned.state = any ($2)
       for update of f skip locked
),
old as materialized (
    select t.id
      from scanned
      join rework.operation o on o.id = scanned.operation
      join rework.task t on t.id = scanned.id and t.state = any ($2)
     where scanned.state = any ($2)
       and not exists (select from rework.flow f where f.id = scanned.flow)
       and (not exists (select from rework.flow f where f.id = scanned.id)
            or scanned.id in (select flows.id from flows))
       and ($3::text is null or o.domain = $3)
       and scanned.since <= clock_timestamp() - $4 * interval '1 millisecond'
     order by t.id
     limit 1000
       for update of t skip locked
),
deleted as (
    delete from rework.task t
     using old
     where t.id = old.id and t.state = any ($2)
    returning t.id, t.operation, t.unique_key
),
-- Their unique keys, unless another task has taken them. A row that an open transaction has locked stays: that
-- transaction gives the key to another task. If it is rolled back, the row names no task, and the key is free.
free_keys as materialized (
    select h.ctid as address
      from deleted
      join rework.key_holder h on h.operation = deleted.operation and h.key = deleted.unique_key
                              and h.task = deleted.id
       for update of h skip locked
),
deleted_keys as (
    delete from rework.key_holder h where h.ctid = any (array(select address from free_keys))
),
deleted_lines as (
    delete from rework.log l using deleted where l.task = deleted.id
)
select (select count(*) from deleted) as deleted,
       -- If the limit of 1000 was reached, scanned tasks behind it may be old too: continue there.
       case when (select count(*) from old) = 1000 then (select max(id) from old)
            else (select max(id) from scanned) end as last
