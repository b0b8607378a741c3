-- claim: ready tasks of one lane become runs of a worker, while that worker is not in the books as
-- dead and its lease is still of this epoch.
--
-- A function, so that a session keeps its plans: statements are sent unnamed, for the sake of
-- poolers, and planning would cost more than the claim. Its plans may be made on a table that
-- was never analysed, so those that would be slow on a full one are ruled out.
--
-- The lane with the best front is asked first and, only if somebody else holds all of it, the next
-- one. Of an operation that is in `short`, as many tasks are taken as stands in `most` at the same
-- place, but none that is less urgent than the front of another lane, and no more than 128 KiB of
-- inputs, as they are stored; of any other operation, one.

create function rework.claim(
    worker        bigint,
    lease         bigint,
    epoch         bigint,
    host          text,
    domain        text,
    capabilities  text[],
    short         bigint[] default '{}',
    most          integer[] default '{}'
) returns table (
    task          bigint,
    run           bigint,
    token         uuid,
    attempt       integer,
    operation     bigint,
    version       bigint,
    placement     bigint,
    revision      integer,
    input         text,
    input_bytes   bytea,
    metadata      text
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
declare
    front  record;
    ids    bigint[];
begin
    for front in
        select lane.id as lane, o.version, p.id as placement, p.revision,
               coalesce(most[array_position(short, o.id)], 1) as most,
               coalesce(lead(first.priority) over urgency, -32768) as least
          from rework.lane
          join rework.placement p on p.operation = lane.operation and p.host = claim.host
          join rework.operation o on o.id = lane.operation
         cross join lateral (
            select t.priority, t.position
              from rework.task t
             where t.lane = lane.id and t.state = 'queued'
             order by t.priority desc, t.position
             limit 1) as first
         where lane.domain = claim.domain
           and (lane.host is null or lane.host = claim.host)
           and lane.capabilities <@ claim.capabilities
           and exists (select from rework.lease l where l.id = claim.lease and l.epoch = claim.epoch)
           and exists (select from rework.worker w where w.id = claim.worker and w.finished_at is null)
        window urgency as (order by first.priority desc, first.position)
         order by first.priority desc, first.position
    loop
        ids := '{}';
        if front.most > 1 then
            ids := array(
                select sized.id
                  from (select ready.id, ready.n, sum(ready.bytes) over (order by ready.n) as bytes
                          from (select q.id, q.bytes, row_number() over () as n
                                  from (select t.id, coalesce(pg_column_size(t.input), 0)
                                                   + coalesce(pg_column_size(t.input_bytes), 0) as bytes
                                          from rework.task t
                                         where t.lane = front.lane and t.state = 'queued' and t.priority >= front.least
                                         order by t.priority desc, t.position
                                         limit front.most
                                           for no key update skip locked) as q) as ready) as sized
                 where sized.n = 1 or sized.bytes <= 131072);
        end if;
        if cardinality(ids) = 0 then
            ids := array(
                select t.id from rework.task t
                 where t.lane = front.lane and t.state = 'queued'
                 order by t.priority desc, t.position
                 limit 1
                   for no key update skip locked);
        end if;
        return query
            with taken as (
                update rework.task t
                   set state = 'running', run = t.run + 1, attempt = t.attempt + 1, token = gen_random_uuid(),
                       worker = claim.worker, ran_on = claim.host, started_at = null, reason = null,
                       error = null, progress = null, output = null, output_bytes = null,
                       memory_peak = null, revision = null
                 where t.id = any (ids)
                returning t.*
            )
            select t.id, t.run, t.token, t.attempt, t.operation, front.version, front.placement,
                   front.revision, t.input::text, t.input_bytes, t.metadata::text
              from taken t
             order by t.priority desc, t.position;
        exit when found;
    end loop;
end $$;

revoke all on function rework.claim from public;
