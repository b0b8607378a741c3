-- vacuum_tasks: looks at the next tasks in the order of their ids, and deletes up to 1000 of them,
-- with their runs and log lines. Says how many, and where to go on; null: there are no more.
--
-- $1 after this id, $2 states, $3 domain (null: all), $4 at least so many milliseconds old
--
-- What changed its state meanwhile (retried, claimed) is not deleted: the delete looks again.
with looked as materialized (
    select t.id, t.state, t.operation, coalesce(t.finished_at, t.queued_at) as since
      from rework.task t
     where t.id > $1
     order by t.id
     limit 10000
),
old as materialized (
    select looked.id
      from looked
      join rework.operation o on o.id = looked.operation
     where looked.state = any ($2)
       and ($3::text is null or o.domain = $3)
       and looked.since <= clock_timestamp() - $4 * interval '1 millisecond'
     order by looked.id
     limit 1000
),
gone as (
    delete from rework.task t
     using old
     where t.id = old.id and t.state = any ($2)
    returning t.id
),
silenced as (
    delete from rework.log l using gone where l.task = gone.id
)
select (select count(*) from gone) as deleted,
       case when (select count(*) from old) = 1000 then (select max(id) from old)
            else (select max(id) from looked) end as last
