-- list_tasks: the last tasks of domain $1, in one of states $2, of operation $3, queued in the last
-- $4 milliseconds, each where not null; at most $5, newest first. $6: with errors; $7: with the number of their log lines.
select task.id, operation.name, operation.domain, task.state, task.queued_at, task.delayed_until,
       task.started_at, task.finished_at, task.reason, task.worker, coalesce(task.ran_on, task.host),
       case when $6 then task.error::text end,
       case when $7 then (select count(*) from rework.log where log.task = task.id) end
  from rework.task
  join rework.operation on operation.id = task.operation
 where ($1::text is null or operation.domain = $1)
   and ($2::text[] is null or task.state = any ($2))
   and ($3::text is null or operation.name = $3)
   and ($4::bigint is null or task.queued_at >= now() - $4 * interval '1 millisecond')
 order by task.id desc
 limit $5
