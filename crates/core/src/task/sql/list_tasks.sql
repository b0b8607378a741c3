-- list_tasks: returns the last $5 tasks, newest first, that pass these filters: domain $1, states $2, operation $3,
-- scheduled in the last $4 milliseconds. A filter that is null does not restrict. If $6 is true the errors are returned
-- too, and if $7 is true the numbers of log lines. Tasks of the steps of flows are left out unless $8 is true.
-- `waits_for` is a text for people. `pause` is the pause for which a task waits, as JSON.
--
-- The primary key is read backwards from its end. `exists (select from wanted)` is false if no operation matches; then
-- no task is read at all.
with wanted as materialized (
    select id from rework.operation
     where ($1::text is null or domain = $1) and ($3::text is null or name = $3)
)
select last.id, operation.name as operation, operation.domain, last.state, last.queued_at, last.delayed_until,
       last.started_at, last.finished_at, last.reason, last.worker, coalesce(last.ran_on, last.host) as host,
       case when $6 then last.error::text end as error,
       case when $7
            then (select count(*) from rework.log where log.task = last.id and not log.continues) end as lines,
       case when last.state = 'waiting' then rework.waits_for(last.id, last.awaits) end as waits_for,
       case when last.state in ('delayed', 'queued')
            then rework.pause_of(last.operation, last.host)::text end as pause
  from (select id, operation, state, queued_at, delayed_until, started_at, finished_at, reason,
               worker, ran_on, host, error, awaits
          from rework.task
         where exists (select from wanted)
           and (($1::text is null and $3::text is null) or operation = any (array(select id from wanted)))
           and ($2::text[] is null or state = any ($2))
           and ($4::bigint is null or queued_at >= now() - $4 * interval '1 millisecond')
           and ($8 or flow is null)
         order by id desc
         limit $5) as last
  join rework.operation on operation.id = last.operation
 order by last.id desc
