-- claim: up to $7 ready tasks of domain $5 that host $4 with capabilities $6 can run, for worker $1,
-- while that worker is not in the books as dead and lease $2 is still of epoch $3.
--
-- The front of every lane is looked at without a lock; then the best lane's ready rows are locked
-- and, only if somebody else holds them all, the next lane's. What was locked there is queued, and
-- is not asked again whether it is: the planner would answer from the index of all that is ready.
with served as materialized (
    select lane.id
      from rework.lane
      join rework.placement on placement.operation = lane.operation and placement.host = $4
     where lane.domain = $5
       and (lane.host is null or lane.host = $4)
       and lane.capabilities <@ $6::text[]
       and exists (select from rework.lease where lease.id = $2 and lease.epoch = $3)
       and exists (select from rework.worker where worker.id = $1 and worker.finished_at is null)
),
fronts as materialized (
    select served.id as lane, front.priority, front.position
      from served
     cross join lateral (
        select task.priority, task.position
          from rework.task
         where task.lane = served.id and task.state = 'queued'
         order by task.priority desc, task.position
         limit 1) as front
     order by front.priority desc, front.position
),
candidate as materialized (
    select ready.id
      from fronts
     cross join lateral (
        select task.id
          from rework.task
         where task.lane = fronts.lane and task.state = 'queued'
         order by task.priority desc, task.position
         limit $7
           for no key update skip locked) as ready
     limit $7
)
update rework.task
   set state = 'running', run = run + 1, attempt = attempt + 1, token = gen_random_uuid(),
       worker = $1, ran_on = $4, started_at = null, reason = null, error = null, progress = null,
       output = null, output_bytes = null, memory_peak = null, revision = null
  from rework.operation, rework.placement
 where task.id = any (array(select id from candidate))
   and operation.id = task.operation
   and placement.operation = task.operation and placement.host = $4
returning task.id, task.run, task.token, task.attempt, task.operation, operation.version,
          placement.id, placement.revision, task.input::text, task.input_bytes, task.metadata::text
