-- tick: what a monitor does each second, in one round trip.
--
-- A function, so that a session keeps its plan: to make it costs more than to follow it. The plan may be
-- made on tables that are empty, so what would be slow on full ones is ruled out: scans of a table, joins that
-- read one, and, by orders that the right index has and by rows' places, the wrong index.

create function rework.tick(
    monitor       bigint,
    lease         bigint,     -- its lease
    epoch         bigint,     -- of this epoch
    renew         boolean,    -- whether to renew it
    wants         text[],     -- domains that it wants to hear of, null to leave them as they are
    workers       bigint[],   -- its workers
    measured      bigint[],   -- those of them whose tree was measured
    memory        bigint[],   -- bytes
    percent       integer[],  -- of a processor
    dead          bigint[],   -- workers that have died: a claim of theirs may still come to light
    host          text,
    capabilities  text[],
    count_in      text[],     -- domains in which to count what waits
    count_to      bigint[],   -- as far as this matters
    beyond        text[],     -- every domain that it serves, null where no other is to be looked for
    abort_all     boolean,    -- every run of its workers is to end
    fires_in      text[],     -- domains whose schedules it fires
    watches       boolean     -- it watches the leases of others
) returns table (
    held          boolean,      -- the lease is still its own
    promoted      bigint,       -- delayed tasks that became due
    hinted        bigint,       -- domains in which tasks became ready: asked for, so that they are told
    aborts        json,
    asked         json,
    waiting       json,
    stray         bigint[],     -- of the dead workers, those that still hold a task
    found         text[],       -- domains that the host could serve, and it does not yet
    fires         boolean,      -- a schedule is due
    leases        json,
    swept         boolean       -- a lease was taken away: who lived by it may have left something
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
-- About once a minute.
if tick.watches and (extract(epoch from clock_timestamp())::bigint + tick.monitor) % 60 = 0 then
    perform rework.mend_served(tick.host);
end if;
return query
with renewed as (
    update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
     where id = tick.lease and epoch = tick.epoch and tick.renew
    returning id
),
wanted as (
    update rework.monitor set wants = tick.wants where id = tick.monitor and wants <> tick.wants
),
measured as (
    update rework.worker set memory_bytes = found.bytes, cpu_percent = found.percent
      from unnest(tick.measured, tick.memory, tick.percent) as found (worker, bytes, percent)
     where worker.id = found.worker
),
-- Rows made for workers that were never started, since the answer was lost on the way.
unborn as (
    update rework.worker set finished_at = clock_timestamp(), reason = 'never started'
      from (select id as worker from rework.worker
             where monitor = tick.monitor and finished_at is null and pid is null
             order by id
            offset 0) as own
     where id = own.worker and id <> all (tick.workers) and pid is null and reason is null
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
hinted as materialized (
    select rework.hint_ready(ready.domain)::text as told
      from (select distinct (select domain from rework.lane where id = promoted.lane) from promoted) as ready (domain)
),
abort as (
    select worker, id as task, run, true as asked, reason from rework.task
     where worker = any (tick.workers) and state = 'aborting'
    union all
    select worker, id as task, run, false as asked, reason from rework.task
     where tick.abort_all and worker = any (tick.workers) and state in ('running', 'aborting') and state <> 'aborting'
),
ending as (
    select id as worker, asked from rework.worker
     where id = any (tick.workers) and asked is not null
),
-- Leases lie in a ring, each at a place drawn by chance. A monitor watches what follows its own, as far as
-- the sixteenth lease of a monitor that renews it: whatever lies in front of one that lives is in its sight,
-- however many died together. By whose clock it is seen who renews decides how far is looked, and nothing else.
arc as materialized (
    select * from (values (1, hashint8(tick.lease), tick.lease, 2147483647, 9223372036854775807),
                          (2, -2147483648, 0, hashint8(tick.lease), tick.lease - 1))
               as arc (number, start_place, start_id, end_place, end_id)
     where tick.watches
),
reach as materialized (
    select arc.number, next.place, next.id
      from arc
     cross join lateral (
        select hashint8(id) as place, id
          from rework.lease
         where taken_at is null and swept_at is null
           and (hashint8(id), id) > (arc.start_place, arc.start_id)
           and (hashint8(id), id) <= (arc.end_place, arc.end_id)
           and renewed_at > clock_timestamp() - length_ms * interval '1 ms'
           and exists (select from rework.monitor
                        where monitor.lease = lease.id and finished_at is null
                        order by id limit 1)
         order by hashint8(id), id
         limit 16) as next
     limit 1 offset 15
),
lives as (
    select next.id, next.epoch, next.renewals, next.length_ms
      from (select arc.number, arc.start_place, arc.start_id,
                   case when reach.number = arc.number then reach.place else arc.end_place end as end_place,
                   case when reach.number = arc.number then reach.id else arc.end_id end as end_id
              from arc
              left join reach on true
             where reach.number is null or arc.number <= reach.number) as arc
     cross join lateral (
        select id, epoch, renewals, length_ms
          from rework.lease
         where taken_at is null and swept_at is null
           and (hashint8(id), id) > (arc.start_place, arc.start_id)
           and (hashint8(id), id) <= (arc.end_place, arc.end_id)
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
-- In the index's order, and with a number that the planner can see: what reads the table may seem cheap in
-- front of a long queue of another lane, and reads all of it.
waiting as (
    select counted.domain, sum(found.tasks)::bigint as tasks
      from unnest(tick.count_in, tick.count_to) as counted (domain, most)
     cross join lateral (
        select low, high from rework.served
         where host = tick.host and domain = counted.domain and capabilities <@ tick.capabilities
         order by low
        offset 0) as served
     cross join lateral (
        select count(*) as tasks
          from (select from (
                    select from rework.task
                     where task.lane between served.low and served.high and task.state = 'queued'
                     order by task.lane, task.priority desc, task.position
                     limit 10000) as first
                 limit counted.most) as ready) as found
     where found.tasks > 0
     group by counted.domain
)
select case when tick.renew then exists (select from renewed)
            else exists (select from rework.lease where id = tick.lease and epoch = tick.epoch) end as held,
       (select count(*) from promoted) as promoted,
       (select count(*) from hinted) as hinted,
       coalesce((select json_agg(abort) from abort), '[]') as aborts,
       coalesce((select json_agg(ending) from ending), '[]') as asked,
       coalesce((select json_agg(waiting) from waiting), '[]') as waiting,
       array(select distinct task.worker from rework.task
              where task.worker = any (tick.dead) and task.state in ('running', 'aborting')) as stray,
       array(select distinct served.domain
               from (select domain from rework.served
                      where host = tick.host and domain <> all (tick.beyond)
                      order by domain, low
                     offset 0) as served) as found,
       exists (select from (select operation from rework.schedule
                             where next_at <= rework.schedule_clock() and paused_at is null
                             order by next_at
                            offset 0) as due
                 join rework.operation on operation.id = due.operation and operation.domain = any (tick.fires_in)) as fires,
       coalesce((select json_agg(lives) from lives), '[]') as leases,
       tick.watches and exists (select from rework.lease where taken_at is not null and swept_at is null) as swept;
end $$;

revoke all on function rework.tick from public;
