-- complete: what happened to a run decides what becomes of its task. The one way a run ends.
--
-- $1 task, $2 run, $3 token: the fence
-- $4 outcome: done | failed | refused | lost | aborted | drained | unbegun
-- $5 reason, $6 error, $7 output (JSON), $8 output (bytes)
-- $9 milliseconds since its code began, null where it never did
-- $10 memory peak in bytes, $11 milliseconds until the next attempt, where the error asks for it,
-- $12 revision of the code that ran
--
-- No row: the run is not current any more.
with held as materialized (
    select task.id, task.state, task.attempt, task.losses, task.watched, task.reason as asked,
           coalesce(task.started_at, clock_timestamp() - $9 * interval '1 millisecond') as started_at,
           operation.domain, operation.attempts, operation.retry_lost
      from rework.task
      join rework.operation on operation.id = task.operation
     where task.id = $1 and task.run = $2 and task.token = $3
       and task.state in ('running', 'aborting')
       for no key update of task
),
verdict as materialized (
    select held.*,
           case
               when state = 'aborting' then 'aborted'
               when $4 = 'done' then 'done'
               when $4 = 'failed' and attempt < attempts then 'delayed'
               when $4 in ('failed', 'refused') then 'failed'
               when $4 = 'lost' and retry_lost and losses < 3 then 'queued'
               when $4 = 'lost' then 'lost'
               when $4 = 'drained' and retry_lost then 'queued'
               when $4 in ('aborted', 'drained') then 'aborted'
               when $4 = 'unbegun' then 'queued'
           end as next
      from held
),
kept as (
    insert into rework.run (task, run, attempt, token, worker, host, revision, outcome, reason,
                            error, memory_peak, started_at, finished_at)
    select task.id, task.run, task.attempt, task.token, task.worker, task.ran_on, $12, $4, $5,
           $6::json, $10, verdict.started_at, clock_timestamp()
      from verdict
      join rework.task on task.id = verdict.id
     where verdict.next in ('queued', 'delayed')
),
ended as (
    update rework.task
       set state = verdict.next,
           attempt = case when verdict.next = 'queued' then task.attempt - 1 else task.attempt end,
           losses = case when $4 = 'lost' then task.losses + 1
                         when $4 = 'unbegun' then task.losses
                         else 0 end,
           position = case when verdict.next = 'queued' then nextval('rework.position') else task.position end,
           -- 1, 2, 4 … seconds up to an hour, and up to a tenth more, so that what failed together
           -- does not come back together.
           delayed_until = case when verdict.next = 'delayed' then clock_timestamp()
               + least(coalesce($11, least(3600, power(2, least(task.attempt - 1, 12))) * 1000 * (1 + random() / 10)), 31536000000)
               * interval '1 millisecond' else task.delayed_until end,
           started_at = case when verdict.next in ('queued', 'delayed') then null else verdict.started_at end,
           finished_at = case when verdict.next in ('queued', 'delayed') then null else clock_timestamp() end,
           reason = case when verdict.state = 'aborting' and verdict.asked not like 'unkillable:%' then verdict.asked else $5 end,
           error = $6::json,
           output = case when verdict.next in ('queued', 'delayed') then null
                         when $7::text is null and $8::bytea is null then task.output
                         else $7::json end,
           output_bytes = case when verdict.next in ('queued', 'delayed') then null
                               when $7::text is null and $8::bytea is null then task.output_bytes
                               else $8 end,
           memory_peak = $10,
           revision = coalesce($12, task.revision)
      from verdict
     where task.id = verdict.id
    returning task.id, task.state, verdict.watched, verdict.domain
)
select state,
       case when state = 'queued' then rework.hint_ready(domain)::text end,
       case when watched and state not in ('queued', 'delayed') then pg_notify('rework_end', id::text)::text end
  from ended
