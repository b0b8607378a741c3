-- claim: ready tasks of one lane become runs of a worker, if its lease is current and the worker has not ended.
--
-- A function, so that a session keeps its plans: statements are sent unnamed, for the sake of poolers, and
-- planning would cost more than the claim. A cached plan may date from when the table was empty, so plans that
-- are slow on a full table (sequential and bitmap scans, hash and merge joins) are disabled.
--
-- The head of a lane is its first ready task. Heads are searched in the index `task_ready`: from the start of
-- each range of lanes that the host serves (`rework.served`), and again behind each lane that is found, so that lanes
-- without ready tasks cost nothing. The lane with the most urgent head is locked first and, only if other
-- workers hold all of it, the next one.
--
-- Of an operation in `short`, as many tasks are taken as `most` says at the same index: none that is less urgent
-- than the head of another lane, and no more than 128 KiB of inputs, as they are stored. Of any other
-- operation, one. With `sole`, nothing is taken if the most urgent task is of another operation.
--
-- While an old snapshot is open, index entries of claimed tasks cannot be removed, and a scan from the start of
-- a lane walks over all of them. Callers may therefore pass scan ranges in `lanes`, `lows`, `highs` and `floors`, most
-- urgent first: for each listed lane a range of priorities and a first position. Lanes that are not listed are
-- scanned whole. Ranges are hints: a caller that finds nothing scans again without them, and now and then
-- does so anyway.
--
-- One token serves all tasks of a claim. The worker draws it (`drawn`): a server that was just woken needs as
-- long for a random number as for locking a row. The tasks come in no order; each with its place in the
-- queue.

-- first_ready: the head of the first lane from `low` to `high` that has a ready task. Like `runnable`, it is written so that the
-- planner inlines it: `stable`, without settings, not `security definer`.
create function rework.first_ready(low integer, high integer)
returns table (lane integer, priority smallint, "position" bigint)
language sql stable as $$
    select t.lane, t.priority, t.position
      from rework.task t
     where t.lane >= first_ready.low and t.lane <= first_ready.high and t.state = 'queued'
     order by t.lane, t.priority desc, t.position
     limit 1
$$;

-- runnable: the operation of a lane as a host runs it; no row if the host may not run it.
create function rework.runnable(lane integer, host text, domain text, capabilities text[])
returns table (operation bigint, version bigint, placement bigint, revision integer)
language sql stable as $$
    select o.id, o.version, p.id, p.revision
      from rework.lane l
      join rework.placement p on p.operation = l.operation and p.host = runnable.host
      join rework.operation o on o.id = l.operation
     where l.id = runnable.lane and l.domain = runnable.domain
       and (l.host is null or l.host = runnable.host) and l.capabilities <@ runnable.capabilities
    offset 0
$$;

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
    "position"    bigint
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    heads      refcursor;
    head       record;
    next_head  record;
    has_more   boolean;
    is_empty   boolean;
    least      smallint;
    rows       tid[];
    sizes      integer[];
    total      bigint;
begin
    -- 1. Whether this worker may claim. The worker is tested in a scalar subquery: as a condition on its row the planner could
    -- pick the partial index of live workers and read all of it.
    if not exists (select from rework.lease l where l.id = claim.lease and l.epoch = claim.epoch)
       or (select w.finished_at is null from rework.worker w where w.id = claim.worker) is not true then
        return;
    end if;
    if drawn is null then
        drawn := gen_random_uuid();
    end if;

    -- If other workers hold all of the most urgent tasks, the second round takes less urgent ones as well.
    for round in 1..2 loop
        -- 2. The heads of lanes, the most urgent first. Starting up a large plan costs more than running it, so without
        -- scan ranges a small query runs first; it suffices unless a second lane may have ready tasks.
        has_more := true;
        if lanes = '{}' then
            open heads for
                select first.lane, o.operation, o.version, o.placement, o.revision, first.priority, first.position,
                       coalesce(most[array_position(short, o.operation)], 1) as most,
                       exists (select from rework.first_ready(first.lane + 1, s.high)) as has_more
                  from rework.served s
                 cross join lateral rework.first_ready(s.low, s.high) as first
                  left join lateral rework.runnable(first.lane, claim.host, claim.domain, claim.capabilities) as o on true
                 where s.host = claim.host and s.domain = claim.domain and s.capabilities <@ claim.capabilities;
            fetch heads into head;
            fetch heads into next_head;
            has_more := next_head.lane is not null or head.has_more or (head.lane is not null and head.operation is null);
            if has_more then
                close heads;
            end if;
        end if;
        if has_more then
            open heads for
                with recursive listed as materialized (
                    select lane, lead(lane, 1, 2147483647) over (order by lane) as above
                      from (select distinct unnest(-1 || lanes) as lane) as given
                ),
                found (lane, priority, position, high) as (
                    select first.lane, first.priority, first.position, first.high
                      from rework.served s
                     cross join lateral (
                        -- Listed lanes, by their ranges.
                        select t.lane, t.priority, t.position, null::integer as high
                          from listed
                         cross join lateral (
                            select t.lane, t.priority, t.position
                              from unnest(lanes, lows, highs, floors) as g (lane, low, high, floor)
                             cross join lateral (
                                select t.lane, t.priority, t.position
                                  from rework.task t
                                 where t.lane = listed.lane and t.state = 'queued'
                                   and t.priority between g.low and g.high and t.position >= g.floor
                                 order by t.priority desc, t.position
                                 limit 1) as t
                             where g.lane = listed.lane
                             limit 1) as t
                         where listed.lane between s.low and s.high
                        union all
                        -- The gaps between them: the first lane of each, from which the recursion goes on.
                        select t.lane, t.priority, t.position, least(s.high, listed.above - 1)
                          from listed
                         cross join lateral rework.first_ready(
                                greatest(s.low, listed.lane + 1), least(s.high, listed.above - 1)) as t) as first
                     where s.host = claim.host and s.domain = claim.domain and s.capabilities <@ claim.capabilities
                    union all
                    select behind.lane, behind.priority, behind.position, found.high
                      from found
                     cross join lateral rework.first_ready(found.lane + 1, found.high) as behind
                )
                select found.lane, o.operation, o.version, o.placement, o.revision, found.priority, found.position,
                       coalesce(most[array_position(short, o.operation)], 1) as most, false as has_more
                  from (select * from found order by found.priority desc, found.position offset 0) as found
                 cross join lateral rework.runnable(found.lane, claim.host, claim.domain, claim.capabilities) as o;
            fetch heads into head;
            fetch heads into next_head;
        end if;

        is_empty := head.lane is null;
        while head.lane is not null loop
            if head.operation <> sole then
                close heads;
                return;
            end if;

            -- 3. How many, and which: rows that nobody else has locked. One is taken from the head on, several from the scan ranges.
            rows := '{}';
            if head.most = 1 then
                rows := array(
                    select t.ctid
                      from rework.task t
                     where t.lane = head.lane and t.state = 'queued'
                       and t.priority = head.priority and t.position >= head.position
                     order by t.position
                     limit 1
                       for no key update skip locked);
            end if;
            if rows = '{}' then
                least := case when round = 1 then coalesce(next_head.priority, -32768) else -32768 end;
                select array_agg(t.row), array_agg(t.bytes), sum(t.bytes) into rows, sizes, total
                  from (select t.row, t.bytes
                          from (select g.low, g.high, g.floor
                                  from unnest(lanes, lows, highs, floors) as g (lane, low, high, floor)
                                 where g.lane = head.lane
                                union all
                                select -32768, 32767, 0 where head.lane <> all (lanes)) as region
                         cross join lateral (
                            select t.ctid as row,
                                   coalesce(pg_column_size(t.input), 0) + coalesce(pg_column_size(t.input_bytes), 0) as bytes
                              from rework.task t
                             where t.lane = head.lane and t.state = 'queued'
                               and t.priority between greatest(region.low, least) and region.high
                               and t.position >= region.floor
                             order by t.priority desc, t.position
                             limit head.most
                               for no key update skip locked) as t
                         limit head.most) as t;
                if total > 131072 then
                    rows := array(
                        select sized.row
                          from (select given.row, given.bytes, sum(given.bytes) over (rows unbounded preceding) as upto
                                  from unnest(rows, sizes) as given (row, bytes)) as sized
                         where sized.upto - sized.bytes <= 131072);
                end if;
            end if;

            -- 4. They become runs.
            if cardinality(rows) > 0 then
                return query
                    update rework.task t
                       set state = 'running', run = t.run + 1, attempt = t.attempt + 1, token = drawn,
                           worker = claim.worker, ran_on = claim.host, started_at = null, reason = null,
                           error = null, progress = null, output = null, output_bytes = null,
                           memory_peak = null, revision = null
                     where t.ctid = any (rows)
                    returning t.id, t.run, drawn, t.attempt, head.operation, head.version, head.placement,
                              head.revision, t.input::text, t.input_bytes, t.metadata::text, head.lane, t.priority,
                              t.position;
                close heads;
                return;
            end if;
            head := next_head;
            fetch heads into next_head;
        end loop;
        close heads;
        exit when is_empty;
    end loop;
end $$;

revoke all on function rework.claim, rework.first_ready, rework.runnable from public;
