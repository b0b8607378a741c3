-- monitor_poll: stores what a monitor measured, and returns everything that the monitor has to react to. It is the one
-- statement that a monitor sends each second, and after notifications. Notifications only make the next poll come
-- earlier: a poll finds whatever they announce. core/src/fleet/monitor_poll.rs calls the function, and
-- monitor/src/state/poll.rs handles the result.
--
-- Writes
--   1. the lease of the monitor is renewed
--   2. `idle_domains`, and the use of memory and processor by workers, are stored
--   3. rows of workers that were never started are finished
--   4. delayed tasks that are due become queued, at most 1000, and their domains are notified
--   5. after a recovery of the server, the check of all runs continues (V03__lease.sql)
--   6. that the monitor watches the schedules of its domains is recorded (V16__schedules.sql)
--   7. ends are followed that were not followed when they were recorded (V20__edge.sql), and flows do what a lock has
--      prevented (V31__flow_abort.sql)
-- Reads: see the columns of the result.
--
-- Plans. This is a function so that a session keeps its plan (see V13__claim.sql). The plan may date from when the
-- tables were empty, so sequential and bitmap scans, sorts, and hash and merge joins are disabled. Without sorts, an
-- `order by` forces the index that has this order. `offset 0` keeps a subquery separate, so that its index is used.
-- Rows that were found once are updated by their address (`ctid`).

create function rework.monitor_poll(
    monitor           bigint,
    lease             bigint,     -- its lease
    epoch             bigint,     -- the epoch of the lease that it knows: a number that changes when it is taken away
    known_renewals    bigint,     -- the number of renewals that it knows to be stored. With fewer, nothing is renewed
    renew             boolean,    -- whether to renew the lease
    checked_recovery  bigint,     -- the recovery after which it has compared its runs with the database; null: none
    idle_domains      text[],     -- domains in which it has an idle worker; null: unchanged
    workers           bigint[],   -- its workers, with those of earlier monitors of its host
    measured_workers  bigint[],   -- workers whose use of memory and processor was measured, with
    memory_bytes      bigint[],   --   the bytes of each and
    cpu_percents      integer[],  --   the percent of one processor of each
    dead_workers      bigint[],   -- workers that died recently: a claim that one sent may be committed after its death
    host              text,
    capabilities      text[],
    count_domains     text[],     -- domains in which to count queued tasks, with
    count_limits      bigint[],   --   the number up to which to count in each range of lanes (V06)
    known_domains     text[],     -- domains that it serves, to find others on its host; null: do not search
    abort_all         boolean,    -- whether to return all running tasks of its workers in `aborts`
    schedule_domains  text[],     -- domains whose schedules it fires
    watch_leases      boolean     -- whether to return leases to observe
) returns table (
    renewals          bigint,     -- of the lease; null if the lease does not have this epoch any more
    recovery          bigint,     -- a recovery that is in progress, so that nothing may be claimed; null: none
    unchecked         text[],     -- during a recovery: the first ten holders that have not compared their runs
    missing_workers   bigint[],   -- during a recovery: those of `workers` that the database does not have
    promoted          bigint,     -- number of delayed tasks that became queued
    notified          bigint,     -- number of domains that were notified of them
    aborts            json,       -- runs to stop: {worker, task, run, requested: by a user, reason}
    worker_requests   json,       -- workers to stop: {worker, requested: `shutdown` or `kill`}
    waiting           json,       -- queued tasks that this host can run, per domain: {domain, tasks}
    late_claims       bigint[],   -- those of `dead_workers` that still hold a task
    new_domains       text[],     -- domains that its host can run and that are not in `known_domains`
    schedule_is_due   boolean,
    leases            json,       -- leases to observe: {id, epoch, renewals, length_ms}
    sweep_is_due      boolean,    -- whether a lease was taken away whose runs may not be recorded as lost yet
    pauses            json        -- pauses (V02) that concern its host: {id, domain, operation}; null: every one
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    is_recovering  boolean;
begin
if (select is_over from rework.recovery) is not true then
    perform rework.continue_recovery(monitor_poll.lease, monitor_poll.checked_recovery);
end if;
is_recovering := (select is_over from rework.recovery) is not true;
-- About once a minute. Adding the id of the monitor makes monitors do this in different seconds.
if monitor_poll.watch_leases and (extract(epoch from clock_timestamp())::bigint + monitor_poll.monitor) % 60 = 0 then
    perform rework.repair_host_lanes(monitor_poll.host);
end if;
if monitor_poll.watch_leases then
    perform rework.watch_schedules(monitor_poll.schedule_domains);
end if;
if exists (select from rework.edge where for_poll) then
    perform rework.follow_missed();
end if;
if exists (select from rework.flow where missed) then
    perform rework.advance_missed();
end if;
return query
with renewed as (
    update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
     where id = monitor_poll.lease and epoch = monitor_poll.epoch and monitor_poll.renew
       and renewals >= monitor_poll.known_renewals
    returning renewals
),
stored_domains as (
    update rework.monitor set idle_domains = monitor_poll.idle_domains
     where id = monitor_poll.monitor and idle_domains <> monitor_poll.idle_domains
),
stored_usage as (
    update rework.worker set memory_bytes = usage.bytes, cpu_percent = usage.percent
      from unnest(monitor_poll.measured_workers, monitor_poll.memory_bytes, monitor_poll.cpu_percents)
           as usage (worker, bytes, percent)
     where worker.id = usage.worker
),
-- The monitor inserts the row of a worker before it starts the process. If the answer to the insert was lost, it does
-- not know the row and starts nothing.
never_started as (
    update rework.worker set finished_at = clock_timestamp(), reason = 'never started'
      from (select id as worker from rework.worker
             where monitor = monitor_poll.monitor and finished_at is null and pid is null
             order by id
            offset 0) as candidate
     where id = candidate.worker and id <> all (monitor_poll.workers) and pid is null and reason is null
       and created_at < now() - interval '1 minute'
),
due as materialized (
    select ctid as row from rework.task
     where state = 'delayed' and delayed_until <= now()
     order by delayed_until
     limit 1000
       for no key update skip locked
),
promoted as (
    update rework.task set state = 'queued', position = nextval('rework.position')
     where ctid = any (array(select row from due))
    returning lane
),
-- A `select` in a `with` clause runs only if the main query reads it. Therefore the main query counts these rows.
notified as materialized (
    select rework.notify_ready(ready.domain)::text as result
      from (select distinct (select domain from rework.lane where id = promoted.lane) from promoted) as ready (domain)
),
abort as (
    select worker, id as task, run, true as requested, reason from rework.task
     where worker = any (monitor_poll.workers) and state = 'aborting'
    union all
    -- Both conditions on `state` are needed: the first one matches the predicate of the index `task_live`.
    select worker, id as task, run, false as requested, reason from rework.task
     where monitor_poll.abort_all and worker = any (monitor_poll.workers)
       and state in ('running', 'aborting') and state <> 'aborting'
),
worker_request as (
    select id as worker, requested from rework.worker
     where id = any (monitor_poll.workers) and requested is not null
),
-- Leases form a ring, in the order of a hash of their ids. A monitor observes the leases that follow its own, up to
-- the sixteenth one that a monitor renews. So each dead lease is observed by the live monitors that precede it,
-- however many died at once. `renewed_at` is compared with the server's clock only to decide how far to read along the
-- ring, never to decide that a lease is dead.
--
-- The ring has two parts: from the own lease to the largest hash, and from the smallest hash to the own lease.
ring_part as materialized (
    select * from (values (1, hashint8(monitor_poll.lease), monitor_poll.lease, 2147483647, 9223372036854775807),
                          (2, -2147483648, 0, hashint8(monitor_poll.lease), monitor_poll.lease - 1))
               as ring_part (number, start_hash, start_id, end_hash, end_id)
     where monitor_poll.watch_leases
),
-- The sixteenth renewed lease. No row if there are fewer: then the whole ring is observed.
window_end as materialized (
    select ring_part.number, next.hash, next.id
      from ring_part
     cross join lateral (
        select hashint8(id) as hash, id
          from rework.lease
         where taken_at is null and swept_at is null
           and (hashint8(id), id) > (ring_part.start_hash, ring_part.start_id)
           and (hashint8(id), id) <= (ring_part.end_hash, ring_part.end_id)
           and renewed_at > clock_timestamp() - length_ms * interval '1 ms'
           and exists (select from rework.monitor
                        where monitor.lease = lease.id and finished_at is null
                        order by id limit 1)
         order by hashint8(id), id
         limit 16) as next
     limit 1 offset 15
),
-- All leases of the window that a monitor or a worker depends on.
observed as (
    select next.id, next.epoch, next.renewals, next.length_ms
      from (select ring_part.number, ring_part.start_hash, ring_part.start_id,
                   case when window_end.number = ring_part.number then window_end.hash
                        else ring_part.end_hash end as end_hash,
                   case when window_end.number = ring_part.number then window_end.id
                        else ring_part.end_id end as end_id
              from ring_part
              left join window_end on true
             where window_end.number is null or ring_part.number <= window_end.number) as ring_part
     cross join lateral (
        select id, epoch, renewals, length_ms
          from rework.lease
         where taken_at is null and swept_at is null
           and (hashint8(id), id) > (ring_part.start_hash, ring_part.start_id)
           and (hashint8(id), id) <= (ring_part.end_hash, ring_part.end_id)
           and exists ((select from rework.monitor
                         where monitor.lease = lease.id and finished_at is null
                         order by id limit 1)
                       union all
                       (select from rework.worker
                         where worker.lease = lease.id and finished_at is null
                         order by id limit 1)
                       limit 1)
         order by hashint8(id), id
         limit 5000) as next
     limit 5000
),
-- The `order by` and the constant `limit` keep the planner on `task_ready`. Without them, it may read the whole table
-- if another lane has a long queue.
waiting as (
    select counted.domain, sum(counted_range.tasks)::bigint as tasks
      from unnest(monitor_poll.count_domains, monitor_poll.count_limits) as counted (domain, max_tasks)
     cross join lateral (
        select low, high from rework.host_lanes
         where host = monitor_poll.host and domain = counted.domain and capabilities <@ monitor_poll.capabilities
         order by low
        offset 0) as lane_range
     cross join lateral (
        select count(*) as tasks
          from (select from (
                    select from rework.task
                     where task.lane between lane_range.low and lane_range.high and task.state = 'queued'
                     order by task.lane, task.priority desc, task.position
                     limit 10000) as first
                 limit counted.max_tasks) as ready) as counted_range
     where counted_range.tasks > 0
     group by counted.domain
)
-- A renewal that did not take effect, although the lease has this epoch, has found fewer renewals than are known.
select coalesce((select renewals from renewed),
                (select renewals from rework.lease
                  where id = monitor_poll.lease and epoch = monitor_poll.epoch
                    and (not monitor_poll.renew or renewals < monitor_poll.known_renewals))) as renewals,
       case when is_recovering then (select id from rework.recovery) end as recovery,
       case when is_recovering
            then array(select holder from rework.unchecked_leases() limit 10) else '{}' end as unchecked,
       case when is_recovering
            then array(select known.worker from unnest(monitor_poll.workers) as known (worker)
                        where not exists (select from rework.worker where id = known.worker))
            else '{}' end as missing_workers,
       (select count(*) from promoted) as promoted,
       (select count(*) from notified) as notified,
       coalesce((select json_agg(abort) from abort), '[]') as aborts,
       coalesce((select json_agg(worker_request) from worker_request), '[]') as worker_requests,
       case when is_recovering then '[]' else coalesce((select json_agg(waiting) from waiting), '[]') end as waiting,
       array(select distinct task.worker from rework.task
              where task.worker = any (monitor_poll.dead_workers)
                and task.state in ('running', 'aborting')) as late_claims,
       array(select distinct lane_range.domain
               from (select domain from rework.host_lanes
                      where host = monitor_poll.host and domain <> all (monitor_poll.known_domains)
                      order by domain, low
                     offset 0) as lane_range) as new_domains,
       exists (select from (select operation from rework.schedule
                             where next_at <= rework.schedule_clock() and paused_at is null
                             order by next_at
                            offset 0) as due_schedule
                 join rework.operation on operation.id = due_schedule.operation
                                      and operation.domain = any (monitor_poll.schedule_domains)) as schedule_is_due,
       coalesce((select json_agg(observed) from observed), '[]') as leases,
       monitor_poll.watch_leases
           and exists (select from rework.lease where taken_at is not null and swept_at is null) as sweep_is_due,
       coalesce((select json_agg(host_pause)
                   from (select p.id, p.domain, o.id as operation
                           from rework.pause p
                           left join rework.operation o on o.domain = p.domain and o.name = p.operation
                          where p.host is null or p.host = monitor_poll.host
                          order by p.id
                         offset 0) as host_pause), '[]') as pauses;
end $$;

revoke all on function rework.monitor_poll from public;
