-- tick: what a monitor does each second, in one round trip
--
-- $1 monitor, $2 its lease, $3 of epoch, $4 whether to renew it
-- $5 domains that it wants to hear of, null to leave them as they are
-- $6 its workers; $7 those of them whose tree was measured, $8 bytes, $9 percent of a processor
-- $10 workers that have died: a claim of theirs may still come to light
-- $11 host, $12 capabilities; $13 domains in which to count what waits, $14 as far as this matters
-- $15 every domain that it serves, null where no other is to be looked for
-- $16 whether every run of its workers is to end; $17 domains whose schedules it fires
-- $18 whether it watches the leases of others
with renewed as (
    update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
     where id = $2 and epoch = $3 and $4 and taken_at is null
    returning id
),
wanted as (
    update rework.monitor set wants = $5 where id = $1 and wants <> $5
),
measured as (
    update rework.worker set memory_bytes = found.bytes, cpu_percent = found.percent
      from unnest($7::bigint[], $8::bigint[], $9::int[]) as found (worker, bytes, percent)
     where worker.id = found.worker
),
-- Rows made for workers that were never started, since the answer was lost on the way.
unborn as (
    update rework.worker set finished_at = clock_timestamp(), reason = 'never started'
     where monitor = $1 and finished_at is null and pid is null and id <> all ($6)
       and created_at < now() - interval '1 minute'
),
due as materialized (
    select id from rework.task
     where state = 'delayed' and delayed_until <= now()
     order by delayed_until
     limit 1000
       for no key update skip locked
),
promoted as (
    update rework.task set state = 'queued', position = nextval('rework.position')
     where id = any (array(select id from due)) and state = 'delayed'
    returning lane
),
hinted as materialized (
    select rework.hint_ready(ready.domain)::text as told
      from (select distinct lane.domain from promoted join rework.lane on lane.id = promoted.lane) as ready
),
abort as (
    select worker, id as task, run, true as asked, reason from rework.task
     where worker = any ($6) and state = 'aborting'
    union all
    select worker, id as task, run, false as asked, reason from rework.task
     where $16 and worker = any ($6) and state in ('running', 'aborting') and state <> 'aborting'
),
ending as (
    select id as worker, asked from rework.worker
     where id = any ($6) and asked is not null
),
-- What somebody may live by: not all of it, but the hundred that follow its own in a ring, in which each
-- lies at a place drawn by chance. Those behind hosts that died together are watched as soon as these are
-- taken away. Asked lease by lease: there are many workers to one.
lives as (
    select next.id, next.epoch, next.renewals, next.length_ms
      from (values (hashint8($2), $2::bigint, 2147483647, 9223372036854775807),
                   (-2147483648, 0, hashint8($2), $2)) as arc (start_place, start_id, end_place, end_id)
     cross join lateral (
        select id, epoch, renewals, length_ms
          from rework.lease
         where taken_at is null
           and (hashint8(id), id) > (arc.start_place, arc.start_id)
           and (hashint8(id), id) < (arc.end_place, arc.end_id)
           and exists (select from rework.monitor where monitor.lease = lease.id and finished_at is null
                       union all
                       select from rework.worker where worker.lease = lease.id and finished_at is null
                       limit 1)
         order by hashint8(id), id
         limit 100) as next
     where $18
     limit 100
),
-- In the index's order, and with a number that the planner can see: what reads the table may seem cheap in
-- front of a long queue of another lane, and reads all of it.
waiting as (
    select counted.domain, sum(found.tasks)::bigint as tasks
      from unnest($13::text[], $14::bigint[]) as counted (domain, most)
      join rework.lane on lane.domain = counted.domain
       and coalesce(lane.host, '') = any (array['', $11]) and lane.capabilities <@ $12::text[]
      join rework.placement on placement.operation = lane.operation and placement.host = $11
     cross join lateral (
        select count(*) as tasks
          from (select from (
                    select from rework.task
                     where task.lane = lane.id and task.state = 'queued'
                     order by task.priority desc, task.position
                     limit 10000) as first
                 limit counted.most) as ready) as found
     where found.tasks > 0
     group by counted.domain
)
select case when $4 then exists (select from renewed)
            else exists (select from rework.lease where id = $2 and epoch = $3) end as held,
       (select count(*) from promoted) as promoted,
       (select count(told) from hinted) as hinted,
       coalesce((select json_agg(abort) from abort), '[]') as aborts,
       coalesce((select json_agg(ending) from ending), '[]') as asked,
       coalesce((select json_agg(waiting) from waiting), '[]') as waiting,
       array(select distinct task.worker from rework.task
              where task.worker = any ($10) and task.state in ('running', 'aborting')) as stray,
       array(select distinct operation.domain
               from rework.placement
               join rework.operation on operation.id = placement.operation
              where placement.host = $11 and operation.unregistered_at is null
                and operation.domain <> all ($15::text[])) as found,
       exists (select from rework.schedule
                 join rework.operation on operation.id = schedule.operation and operation.domain = any ($17)
                where schedule.next_at <= rework.schedule_clock() and schedule.paused_at is null) as fires,
       coalesce((select json_agg(lives) from lives), '[]') as leases,
       $18 and exists (select from rework.lease
                        where taken_at is not null
                          and (exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
                               or exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
                               or lease.taken_at > now() - interval '5 minutes')) as swept
