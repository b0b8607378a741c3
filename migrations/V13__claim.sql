-- claim: assigns ready tasks to a worker and returns them, each as a new run. The tasks of one claim are all of one
-- lane, that is of one operation and with the same needs (V06__lane.sql). The function returns no row if no task is
-- ready that the host of the worker can run, if the worker has ended, or if its lease was taken away. After a recovery
-- of the server it returns no row until all runs were checked (V03__lease.sql).
--
-- Inputs
--   worker, lease, epoch              who claims, the lease that it depends on, and the epoch that it knows of the
--                                     lease, a number that changes when the lease is taken away
--   host, domain, capabilities        which lanes the worker can run
--   batch_operations, batch_sizes     operations of which several tasks may be claimed at once, and how many;
--                                     one task is claimed of each other operation
--   scan_lanes, scan_lows, scan_highs, scan_positions
--                                     scan ranges, the most urgent first: a lane, the least and the most urgent
--                                     priority, and the first position. May be empty
--   only_operation                    if not null: claim nothing if the most urgent task is of another operation
--   new_token                         the token of all claimed runs. The worker generates it, because a random
--                                     number can take an idle server as long as locking a row
--   excluded                          operations of which no task is claimed: the host cannot start them now, or the
--                                     worker knows that they are paused
--
-- Steps
--   1. Find the head of each lane, that is its first ready task, and sort the heads by urgency.
--   2. Lock tasks of the first lane, and skip those that other workers have locked. If none is left, try the next
--      lane. A batch contains no task that is less urgent than the head of another lane. It ends with the task that
--      makes the inputs and the metadata of the batch exceed 128 KiB, as they are stored.
--   3. Update the locked tasks, and return them in no particular order.
-- If other workers hold all of the most urgent tasks, the steps are repeated once without the urgency limit.
--
-- How step 1 finds heads. The index `task_ready` holds queued tasks only, and is sorted by lane. The search starts at
-- the first lane of each range in `rework.host_lanes`, and continues after each lane that it finds. So lanes without
-- ready tasks cost nothing.
--
-- Why there are scan ranges. The index entry of a claimed task cannot be removed while an old snapshot is open. A scan
-- from the start of a lane then reads the entries of all claimed tasks. So a worker may remember the last position
-- that it claimed and pass the range behind it. Lanes that are not in `scan_lanes` are scanned whole. A worker that
-- finds nothing within its ranges scans again without them, and also does so from time to time
-- (worker/src/writer/scan_start.rs).
--
-- Why this is a function. A session keeps the plans of a function, also behind a pooler. Statements are sent unnamed,
-- and planning this one each time would cost more than running it. A cached plan may date from when the table was
-- empty. So the plan types that are slow on a full table are disabled: sequential and bitmap scans, hash and merge
-- joins.

-- claimable_lanes: returns the ranges of lanes that the host of a worker can run. No row if the worker has ended, if
-- its lease was taken away, or while a recovery of the server is in progress (V03__lease.sql). The worker is read by a
-- scalar subquery. If `finished_at is null` were a condition of a `where`, the planner could choose the partial index
-- of live workers and read all of it. The planner inlines this function, so each query makes the three checks once.
create function rework.claimable_lanes(
    worker bigint, lease bigint, epoch bigint, host text, domain text, capabilities text[]
) returns table (low integer, high integer)
language sql stable as $$
    select r.low, r.high
      from rework.host_lanes r
     where r.host = claimable_lanes.host and r.domain = claimable_lanes.domain
       and r.capabilities <@ claimable_lanes.capabilities
       and exists (select from rework.lease l where l.id = claimable_lanes.lease and l.epoch = claimable_lanes.epoch)
       and (select w.finished_at is null from rework.worker w where w.id = claimable_lanes.worker)
       and (select r.is_over from rework.recovery r)
$$;

-- first_ready: returns the head (the first ready task) of the first lane from `low` to `high` that has a ready task. No
-- row if none has. The planner inlines this function and `runnable`, because they are `stable`, without settings and
-- not `security definer`.
create function rework.first_ready(low integer, high integer)
returns table (lane integer, priority smallint, "position" bigint)
language sql stable as $$
    select t.lane, t.priority, t.position
      from rework.task t
     where t.lane >= first_ready.low and t.lane <= first_ready.high and t.state = 'queued'
     order by t.lane, t.priority desc, t.position
     limit 1
$$;

-- runnable: returns the operation of a lane and how a host runs the operation. No row if the host may not run it, or if
-- the operation is excluded or paused. `offset 0` keeps the planner from merging these joins into the calling query.
create function rework.runnable(lane integer, host text, domain text, capabilities text[], excluded bigint[])
returns table (operation bigint, version bigint, placement bigint, revision integer)
language sql stable as $$
    select o.id, o.version, p.id, p.revision
      from rework.lane l
      join rework.placement p on p.operation = l.operation and p.host = runnable.host
      join rework.operation o on o.id = l.operation
     where l.id = runnable.lane and l.domain = runnable.domain
       and (l.host is null or l.host = runnable.host) and l.capabilities <@ runnable.capabilities
       and l.operation <> all (runnable.excluded) and not p.paused
    offset 0
$$;

create function rework.claim(
    worker            bigint,
    lease             bigint,
    epoch             bigint,
    host              text,
    domain            text,
    capabilities      text[],
    batch_operations  bigint[] default '{}',
    batch_sizes       integer[] default '{}',
    scan_lanes        integer[] default '{}',
    scan_lows         integer[] default '{}',
    scan_highs        integer[] default '{}',
    scan_positions    bigint[] default '{}',
    only_operation    bigint default null,
    new_token         uuid default null,
    excluded          bigint[] default '{}'
) returns table (
    task              bigint,
    run               bigint,
    token             uuid,
    attempt           integer,
    operation         bigint,
    version           bigint,    -- of the operation
    placement         bigint,
    revision          integer,   -- of the placement
    input             text,
    input_bytes       bytea,
    metadata          text,
    lane              integer,
    priority          smallint,
    "position"        bigint
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    heads            refcursor;
    head             record;
    next_head        record;
    has_more         boolean;    -- whether a second lane may have ready tasks
    is_empty         boolean;
    lowest_priority  smallint;   -- the least urgent priority that the batch may contain
    rows             tid[];      -- row addresses of the locked tasks
    row_sizes        integer[];  -- bytes of their inputs and metadata
    total_size       bigint;
begin
    if new_token is null then
        new_token := gen_random_uuid();
    end if;

    for round in 1..2 loop
        -- 1. Find the heads. Starting up a large plan costs more than running it. So without scan ranges, a small query
        -- runs first, which finds the first lane of each host range. It suffices if only one lane has ready tasks.
        has_more := true;
        if scan_lanes = '{}' then
            open heads for
                select first.lane, o.operation, o.version, o.placement, o.revision, first.priority, first.position,
                       coalesce(batch_sizes[array_position(batch_operations, o.operation)], 1) as batch_size,
                       exists (select from rework.first_ready(first.lane + 1, r.high)) as has_more
                  from rework.claimable_lanes(
                        claim.worker, claim.lease, claim.epoch, claim.host, claim.domain, claim.capabilities) as r
                 cross join lateral rework.first_ready(r.low, r.high) as first
                  left join lateral rework.runnable(first.lane, claim.host, claim.domain, claim.capabilities,
                                                    claim.excluded) as o
                    on true;
            fetch heads into head;
            fetch heads into next_head;
            -- A head without an operation is of a lane that the host may not run, or whose operation is excluded. The
            -- large query leaves it out.
            has_more := next_head.lane is not null or head.has_more
                        or (head.lane is not null and head.operation is null);
            if has_more then
                close heads;
            end if;
        end if;
        if has_more then
            open heads for
                -- The listed lanes, each with the next listed one. Lane -1, which does not exist, opens the first gap.
                with recursive listed as materialized (
                    select lane, lead(lane, 1, 2147483647) over (order by lane) as next_listed
                      from (select distinct unnest(-1 || scan_lanes) as lane) as given
                ),
                lane_head (lane, priority, position, high) as (
                    select first.lane, first.priority, first.position, first.high
                      from rework.claimable_lanes(
                            claim.worker, claim.lease, claim.epoch, claim.host, claim.domain, claim.capabilities) as r
                     cross join lateral (
                        -- The listed lanes, scanned by their ranges. A null `high` ends the recursion.
                        select t.lane, t.priority, t.position, null::integer as high
                          from listed
                         cross join lateral (
                            select t.lane, t.priority, t.position
                              from unnest(scan_lanes, scan_lows, scan_highs, scan_positions)
                                   as g (lane, low, high, first_position)
                             cross join lateral (
                                select t.lane, t.priority, t.position
                                  from rework.task t
                                 where t.lane = listed.lane and t.state = 'queued'
                                   and t.priority between g.low and g.high and t.position >= g.first_position
                                 order by t.priority desc, t.position
                                 limit 1) as t
                             where g.lane = listed.lane
                             limit 1) as t
                         where listed.lane between r.low and r.high
                        union all
                        -- The gaps between listed lanes: the first lane of each gap that has ready tasks.
                        select t.lane, t.priority, t.position, least(r.high, listed.next_listed - 1)
                          from listed
                         cross join lateral rework.first_ready(
                                greatest(r.low, listed.lane + 1), least(r.high, listed.next_listed - 1)) as t) as first
                    union all
                    -- The next lane of the same gap that has ready tasks.
                    select next_lane.lane, next_lane.priority, next_lane.position, lane_head.high
                      from lane_head
                     cross join lateral rework.first_ready(lane_head.lane + 1, lane_head.high) as next_lane
                )
                -- `offset 0` makes the planner sort first, and read operations only for the heads that are fetched.
                select sorted.lane, o.operation, o.version, o.placement, o.revision, sorted.priority, sorted.position,
                       coalesce(batch_sizes[array_position(batch_operations, o.operation)], 1) as batch_size,
                       false as has_more
                  from (select * from lane_head
                         order by lane_head.priority desc, lane_head.position offset 0) as sorted
                 cross join lateral rework.runnable(sorted.lane, claim.host, claim.domain, claim.capabilities,
                                                    claim.excluded) as o;
            fetch heads into head;
            fetch heads into next_head;
        end if;

        is_empty := head.lane is null;
        while head.lane is not null loop
            if head.operation <> only_operation then
                close heads;
                return;
            end if;

            -- 2. Lock tasks. A single task is searched from the head on, at the same priority. A batch is searched in
            -- the scan ranges of the lane, or in the whole lane. So is a single task if that search found none.
            rows := '{}';
            if head.batch_size = 1 then
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
                lowest_priority := case when round = 1 then coalesce(next_head.priority, -32768) else -32768 end;
                select array_agg(t.row), array_agg(t.bytes), sum(t.bytes) into rows, row_sizes, total_size
                  from (select t.row, t.bytes
                          from (select g.low, g.high, g.first_position
                                  from unnest(scan_lanes, scan_lows, scan_highs, scan_positions)
                                       as g (lane, low, high, first_position)
                                 where g.lane = head.lane
                                union all
                                select -32768, 32767, 0 where head.lane <> all (scan_lanes)) as scan_range
                         cross join lateral (
                            select t.ctid as row,
                                   coalesce(pg_column_size(t.input), 0)
                                   + coalesce(pg_column_size(t.input_bytes), 0)
                                   + coalesce(pg_column_size(t.metadata), 0) as bytes
                              from rework.task t
                             where t.lane = head.lane and t.state = 'queued'
                               and t.priority between greatest(scan_range.low, lowest_priority) and scan_range.high
                               and t.position >= scan_range.first_position
                             order by t.priority desc, t.position
                             limit head.batch_size
                               for no key update skip locked) as t
                         limit head.batch_size) as t;
                if total_size > 131072 then
                    rows := array(
                        select sized.row
                          from (select given.row, given.bytes,
                                       sum(given.bytes) over (rows unbounded preceding) as running_total
                                  from unnest(rows, row_sizes) as given (row, bytes)) as sized
                         where sized.running_total - sized.bytes <= 131072);
                end if;
            end if;

            -- 3. Update the locked tasks.
            if cardinality(rows) > 0 then
                return query
                    update rework.task t
                       set state = 'running', run = t.run + 1, attempt = t.attempt + 1, token = new_token,
                           worker = claim.worker, ran_on = claim.host, started_at = null, reason = null,
                           error = null, progress = null, output = null, output_bytes = null,
                           memory_peak = null, revision = null
                     where t.ctid = any (rows)
                    returning t.id, t.run, new_token, t.attempt, head.operation, head.version, head.placement,
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

revoke all on function rework.claim, rework.claimable_lanes, rework.first_ready, rework.runnable from public;
