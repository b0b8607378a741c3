-- retry_task: queues task $1 again, which failed, was aborted or was lost, or queues it now although it is delayed or
-- waits for other tasks. It gets all its attempts back. The number of its next run follows that of its last one. The
-- former end is kept as a row of `rework.run`. No row if the task cannot be retried; a step of a flow cannot, and a
-- flow with a plan is retried by `rework.retry_flow`. Its lane is found again, because a lane that no task needs may
-- have been deleted since. Raises RW400 if there are too many lanes.
with ended as materialized (
    select task.id, task.run, task.attempt, task.token, task.worker, task.ran_on, task.revision,
           task.state, task.reason, task.error, task.memory_peak, task.started_at, task.finished_at,
           o.domain, rework.lane_for(o, task.host, task.capabilities) as lane
      from rework.task
      join rework.operation o on o.id = task.operation
     where task.id = $1
       and task.state in ('delayed', 'waiting', 'failed', 'aborted', 'lost')
       and o.unregistered_at is null
       and task.flow is null
       and not exists (select from rework.flow where flow.id = task.id)
       for no key update of task
),
kept as (
    insert into rework.run (task, run, attempt, token, worker, host, revision, outcome, reason,
                            error, memory_peak, started_at, finished_at)
    select id, run, attempt, token, worker, ran_on, revision, state, reason,
           error, memory_peak, started_at, finished_at
      from ended
     where token is not null           -- it was claimed once at least
       and finished_at is not null     -- the end of its last run is not kept yet
    on conflict (task, run) do nothing    -- it was aborted between two attempts
),
queued as (
    update rework.task
       set state = 'queued', lane = ended.lane, attempt = 0, losses = 0, position = nextval('rework.position'),
           delayed_until = null, started_at = null, finished_at = null, reason = null, error = null,
           output = null, output_bytes = null, progress = null, memory_peak = null, revision = null, awaits = 0
      from ended
     where task.id = ended.id
    returning task.id
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'retry', 'task ' || id, json_build_object('state', state, 'run', run, 'reason', reason)
      from ended
)
select rework.notify_ready(ended.domain)::text
  from ended
  join queued on queued.id = ended.id
