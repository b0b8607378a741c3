-- claim: ready tasks of one lane become runs of a worker, while that worker is not in the books as
-- dead and its lease is still of this epoch.
--
-- A function, so that a session keeps its plans: statements are sent unnamed, for the sake of
-- poolers, and planning would cost more than the claim. Its plans may be made on a table that
-- was never analysed, so those that would be slow on a full one are ruled out; what is asked of a worker
-- is no condition, which an index of those that live would serve as well, from end to end.
--
-- Fronts, the first tasks of their lanes, are looked for in the index of what is ready itself: from the beginning
-- of a range of lanes that the host serves, and again behind each lane that is found. So lanes where nothing is
-- ready cost nothing. How their tasks run is looked up of those alone that come first.
--
-- The lane with the best front is asked first and, only if somebody else holds all of it, the next
-- one. Of an operation that is in `short`, as many tasks are taken as stands in `most` at the same
-- place, but none that is less urgent than the front of another lane, and no more than 128 KiB of
-- inputs, as they are stored; of any other operation, one. Where `sole` names an operation, nothing is taken
-- where a task of another one comes first.
--
-- Rows that were ready once stand in the index until nobody can see them any more, which under an old
-- transaction is for ever. `lanes`, `lows`, `highs` and `floors` say what to look at of a lane: priorities
-- between a low and a high one, positions from a floor, the most urgent first; of lanes that they do
-- not name, which are the gaps between those that they do, everything. They are hints: who finds nothing, and
-- now and then who finds something, looks without them.
--
-- Where there are no hints, the fronts are looked for by a plan that has no place for them, and first by one that
-- knows a single front of each range: to make a plan ready to run is most of what it costs.
--
-- One token serves all that a claim takes: it tells claims apart. A worker has `drawn` one itself, at random: to draw
-- it here takes a server that has just been woken as long as to lock a row. What was taken is given in no order; its
-- place in the queue is given with it, and where its row lies now.

create function rework.claim(
    worker        bigint,
    lease         bigint,
    epoch         bigint,
    host          text,
    domain        text,
    capabilities  text[],
    short         bigint[] default '{}',
    most          integer[] default '{}',
    lanes         integer[] default '{}',
    lows          integer[] default '{}',
    highs         integer[] default '{}',
    floors        bigint[] default '{}',
    sole          bigint default null,
    drawn         uuid default null
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
    metadata      text,
    lane          integer,
    priority      smallint,
    "position"    bigint,
    "row"         tid
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    fronts refcursor;
    front  record;
    ready  boolean;
    several boolean;
    next   record;
    least  smallint;
    rows   tid[];
    sizes  integer[];
    total  bigint;
begin
  if drawn is null then
    drawn := gen_random_uuid();
  end if;
  -- Where all that is most urgent is somebody else's, the rest is looked at as well.
  for urgent in 0..1 loop
    several := false;
    if lanes = '{}' then
        open fronts for
            select first.lane, o.id as operation, o.version, o.placement, o.revision, first.priority, first.position,
                   coalesce(most[array_position(short, o.id)], 1) as most,
                   first.lane < s.high and exists (select from rework.task t
                            where t.lane > first.lane and t.lane <= s.high and t.state = 'queued') as has_more
              from rework.served s
             cross join lateral (
                select t.lane, t.priority, t.position
                  from rework.task t
                 where t.lane >= s.low and t.lane <= s.high and t.state = 'queued'
                 order by t.lane, t.priority desc, t.position
                 limit 1) as first
              left join lateral (
                select o.id, o.version, p.id as placement, p.revision
                  from rework.lane
                  join rework.placement p on p.operation = lane.operation and p.host = claim.host
                  join rework.operation o on o.id = lane.operation
                 where lane.id = first.lane and lane.domain = claim.domain
                   and (lane.host is null or lane.host = claim.host) and lane.capabilities <@ claim.capabilities
                offset 0) as o on true
             where s.host = claim.host and s.domain = claim.domain and s.capabilities <@ claim.capabilities
               and exists (select from rework.lease l where l.id = claim.lease and l.epoch = claim.epoch)
               and (select w.finished_at is null from rework.worker w where w.id = claim.worker);
        fetch fronts into front;
        if front.lane is not null then
            fetch fronts into next;
            several := next.lane is not null or front.has_more or front.operation is null;
        end if;
    end if;
    if several then
        close fronts;
        open fronts for
            with recursive front (lane, priority, position, high) as (
                select first.lane, first.priority, first.position, s.high
                  from rework.served s
                 cross join lateral (
                    select t.lane, t.priority, t.position
                      from rework.task t
                     where t.lane >= s.low and t.lane <= s.high and t.state = 'queued'
                     order by t.lane, t.priority desc, t.position
                     limit 1) as first
                 where s.host = claim.host and s.domain = claim.domain and s.capabilities <@ claim.capabilities
                   and exists (select from rework.lease l where l.id = claim.lease and l.epoch = claim.epoch)
                   and (select w.finished_at is null from rework.worker w where w.id = claim.worker)
                union all
                select next.lane, next.priority, next.position, front.high
                  from front
                 cross join lateral (
                    select t.lane, t.priority, t.position
                      from rework.task t
                     where t.lane > front.lane and t.lane <= front.high and t.state = 'queued'
                     order by t.lane, t.priority desc, t.position
                     limit 1) as next
            )
            select front.lane, o.id as operation, o.version, o.placement, o.revision, front.priority, front.position,
                   coalesce(most[array_position(short, o.id)], 1) as most
              from (select * from front order by front.priority desc, front.position offset 0) as front
             cross join lateral (
                select o.id, o.version, p.id as placement, p.revision
                  from rework.lane
                  join rework.placement p on p.operation = lane.operation and p.host = claim.host
                  join rework.operation o on o.id = lane.operation
                 where lane.id = front.lane and lane.domain = claim.domain
                   and (lane.host is null or lane.host = claim.host) and lane.capabilities <@ claim.capabilities
                offset 0) as o;
        fetch fronts into front;
    elsif lanes <> '{}' then
        open fronts for
            with recursive named as materialized (
                select lane, lead(lane, 1, 2147483647) over (order by lane) as above
                  from (select distinct unnest(-1 || lanes) as lane) as given
            ),
            front (lane, priority, position, high) as (
                select first.lane, first.priority, first.position, first.high
                  from rework.served s
                 cross join lateral (
                    select t.lane, t.priority, t.position, null::integer as high
                      from named
                     cross join lateral (
                        select t.lane, t.priority, t.position
                          from unnest(lanes, lows, highs, floors) as g (lane, low, high, floor)
                         cross join lateral (
                            select t.lane, t.priority, t.position
                              from rework.task t
                             where t.lane = named.lane and t.state = 'queued'
                               and t.priority between g.low and g.high and t.position >= g.floor
                             order by t.priority desc, t.position
                             limit 1) as t
                         where g.lane = named.lane
                         limit 1) as t
                     where named.lane between s.low and s.high
                    union all
                    select t.lane, t.priority, t.position, gap.high
                      from (select greatest(s.low, named.lane + 1) as low, least(s.high, named.above - 1) as high
                              from named) as gap
                     cross join lateral (
                        select t.lane, t.priority, t.position
                          from rework.task t
                         where t.lane >= gap.low and t.lane <= gap.high and t.state = 'queued'
                         order by t.lane, t.priority desc, t.position
                         limit 1) as t
                     where gap.low <= gap.high) as first
                 where s.host = claim.host and s.domain = claim.domain and s.capabilities <@ claim.capabilities
                   and exists (select from rework.lease l where l.id = claim.lease and l.epoch = claim.epoch)
                   and (select w.finished_at is null from rework.worker w where w.id = claim.worker)
                union all
                select next.lane, next.priority, next.position, front.high
                  from front
                 cross join lateral (
                    select t.lane, t.priority, t.position
                      from rework.task t
                     where t.lane > front.lane and t.lane <= front.high and t.state = 'queued'
                     order by t.lane, t.priority desc, t.position
                     limit 1) as next
            )
            select front.lane, o.id as operation, o.version, o.placement, o.revision, front.priority, front.position,
                   coalesce(most[array_position(short, o.id)], 1) as most
              from (select * from front order by front.priority desc, front.position offset 0) as front
             cross join lateral (
                select o.id, o.version, p.id as placement, p.revision
                  from rework.lane
                  join rework.placement p on p.operation = lane.operation and p.host = claim.host
                  join rework.operation o on o.id = lane.operation
                 where lane.id = front.lane and lane.domain = claim.domain
                   and (lane.host is null or lane.host = claim.host) and lane.capabilities <@ claim.capabilities
                offset 0) as o;
        fetch fronts into front;
    end if;
    ready := front.lane is not null;
    while front.lane is not null loop
        if front.operation <> sole then
            close fronts;
            return;
        end if;
        fetch fronts into next;
        rows := '{}';
        if front.most = 1 then
            rows := array(
                select t.ctid
                  from rework.task t
                 where t.lane = front.lane and t.state = 'queued'
                   and t.priority = front.priority and t.position >= front.position
                 order by t.position
                 limit 1
                   for no key update skip locked);
        end if;
        if rows = '{}' then
            least := case when urgent = 0 then coalesce(next.priority, -32768) else -32768 end;
            select array_agg(t.row), array_agg(t.bytes), sum(t.bytes) into rows, sizes, total
              from (select t.row, t.bytes
                      from (select g.low, g.high, g.floor from unnest(lanes, lows, highs, floors) as g (lane, low, high, floor)
                             where g.lane = front.lane
                            union all
                            select -32768, 32767, 0 where front.lane <> all (lanes)) as region
                     cross join lateral (
                        select t.ctid as row,
                               coalesce(pg_column_size(t.input), 0) + coalesce(pg_column_size(t.input_bytes), 0) as bytes
                          from rework.task t
                         where t.lane = front.lane and t.state = 'queued'
                           and t.priority between greatest(region.low, least) and region.high
                           and t.position >= region.floor
                         order by t.priority desc, t.position
                         limit front.most
                           for no key update skip locked) as t
                     limit front.most) as t;
            if total > 131072 then
                rows := array(
                    select sized.row
                      from (select given.row, given.bytes, sum(given.bytes) over (rows unbounded preceding) as upto
                              from unnest(rows, sizes) as given (row, bytes)) as sized
                     where sized.upto - sized.bytes <= 131072);
            end if;
        end if;
        if cardinality(rows) > 0 then
            return query
                update rework.task t
                   set state = 'running', run = t.run + 1, attempt = t.attempt + 1, token = drawn,
                       worker = claim.worker, ran_on = claim.host, started_at = null, reason = null,
                       error = null, progress = null, output = null, output_bytes = null,
                       memory_peak = null, revision = null
                 where t.ctid = any (rows)
                returning t.id, t.run, drawn, t.attempt, front.operation, front.version, front.placement,
                          front.revision, t.input::text, t.input_bytes, t.metadata::text, front.lane, t.priority, t.position,
                          t.ctid;
            close fronts;
            return;
        end if;
        front := next;
    end loop;
    close fronts;
    exit when not ready;
  end loop;
end $$;

revoke all on function rework.claim from public;
