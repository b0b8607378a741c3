-- count_tasks: counts the tasks with an id below $5 that pass the filters $1 to $4 of list_tasks. Stops counting at $6.
-- Tasks of the steps of flows are left out unless $7 is true.
with wanted as materialized (
    select id from rework.operation
     where ($1::text is null or domain = $1) and ($3::text is null or name = $3)
)
select count(*)
  from (select
          from rework.task
         where exists (select from wanted)
           and (($1::text is null and $3::text is null) or operation = any (array(select id from wanted)))
           and ($2::text[] is null or state = any ($2))
           and ($4::bigint is null or queued_at >= now() - $4 * interval '1 millisecond')
           and id < $5
           and ($7 or flow is null)
         limit $6) as others
