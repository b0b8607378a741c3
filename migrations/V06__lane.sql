-- lane: a set of tasks that need the same of a host (same operation, same pinned host, same capabilities), as one
-- small integer. The index of ready tasks (`task_ready`, V07) starts with the lane, so a claim (V13) reads only
-- tasks that its host can run.
--
-- host_lanes: for each host and domain, the lanes that the host can run, as ranges of lane numbers. All lanes
-- of a range need the same capabilities. A claim searches the index once for each range, not once for each lane.
-- Lanes of placements that are paused (V02) are left out. The ranges are kept up to date:
--   a new lane                     add_lane_to_hosts adds it to each host that has its operation
--   a new or deleted placement     rebuild_changed_host_lanes computes the ranges of that host and domain again
--   a pause that begins or ends    apply_pauses (V02) does the same
--   once a minute                  repair_host_lanes corrects what two concurrent transactions got wrong
--   once an hour                   sweep_lanes deletes lanes that no task needs any more

create table rework.lane (
    id              integer primary key,
    domain          text not null,
    operation       bigint not null references rework.operation,
    host            text,                          -- the only host that may run its tasks; null: any
    capabilities    text[] not null default '{}',  -- capabilities that the host must have, sorted
    made_at         timestamptz not null default now()
);

create unique index lane_needs on rework.lane (operation, coalesce(host, ''), capabilities);

create table rework.host_lanes (
    host            text not null,
    domain          text not null,
    capabilities    text[] not null,    -- capabilities that the lanes of this range need
    low             integer not null,   -- first lane number
    high            integer not null    -- last lane number
);

create index host_lanes_host_domain on rework.host_lanes (host, domain, low);

create sequence rework.lane_number;

-- number_lane: chooses the number of a new lane. The upper 17 bits are a hash of its domain, host and capabilities,
-- the lower 14 bits count up. So lanes that the same hosts can run get adjacent numbers and share one range. A number
-- can be taken already: `rework.lane_for` then tries again.
create function rework.number_lane() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    new.id := (hashtext(format('%s/%s/%s', new.domain, new.host, new.capabilities)) & 131071) << 14
              | (nextval('rework.lane_number') % 16383)::integer;
    return new;
end $$;

-- A restored backup inserts lanes that have their numbers already.
create trigger number_lane before insert on rework.lane
    for each row when (new.id is null) execute function rework.number_lane();

-- limit_lanes: refuses a new lane if there are too many already. Each claim of a host reads the ranges of its domain,
-- and each different set of capabilities makes a range. So many sets would make all claims slow, and many lanes of an
-- operation all registrations. Concurrent transactions do not see each other's lanes, so there may be a few more.
create function rework.limit_lanes() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    if new.capabilities <> '{}'
       and not exists (select from rework.lane l where l.domain = new.domain and l.capabilities = new.capabilities)
       and (select count(distinct l.capabilities) from rework.lane l
             where l.domain = new.domain and l.capabilities <> '{}') >= 1000 then
        raise exception 'the tasks of domain `%` need 1000 different sets of capabilities already', new.domain
            using errcode = 'RW400',
                  hint = 'use fewer; a set that no task needs is forgotten after a day';
    end if;
    if (select count(*) from rework.lane l where l.operation = new.operation) > 10000 then
        raise exception 'the tasks of operation `%` need 10000 different combinations of host and capabilities already',
                (select o.name from rework.operation o where o.id = new.operation)
            using errcode = 'RW400',
                  hint = 'use fewer; a combination that no task needs is forgotten after a day';
    end if;
    return new;
end $$;

-- Every operation has one lane without a host and without capabilities, so that one is not counted.
create trigger limit_lanes before insert on rework.lane
    for each row when (new.id is null and (coalesce(new.host, '') <> '' or new.capabilities <> '{}'))
    execute function rework.limit_lanes();

-- add_lane_to_hosts: adds new lanes to the ranges of each host that has the operation. Each lane becomes a range of
-- its own, unless a range contains it already. It takes no lock, so that tasks can be scheduled concurrently.
create function rework.add_lane_to_hosts() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    insert into rework.host_lanes (host, domain, capabilities, low, high)
    select p.host, new_lane.domain, new_lane.capabilities, new_lane.id, new_lane.id
      from new_lane
      join rework.placement p on p.operation = new_lane.operation
     where (new_lane.host is null or new_lane.host = p.host) and not p.paused
       and not exists (select from rework.host_lanes r
                        where r.host = p.host and r.domain = new_lane.domain and r.capabilities = new_lane.capabilities
                          and new_lane.id between r.low and r.high);
    return null;
end $$;

create trigger add_lane_to_hosts after insert on rework.lane
    referencing new table as new_lane for each statement execute function rework.add_lane_to_hosts();

-- rebuild_host_lanes: computes the ranges of hosts[n] in domains[n] again, for each n.
create function rework.rebuild_host_lanes(hosts text[], domains text[]) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    -- One rebuild at a time. Two concurrent ones would not see each other's rows, and insert the ranges twice.
    perform from rework.lock where name = 'host_lanes' for update;
    delete from rework.host_lanes r
     using unnest(hosts, domains) as pair (host, domain)
     where r.host = pair.host and r.domain = pair.domain;
    insert into rework.host_lanes (host, domain, capabilities, low, high)
    with host_lane as (
        select pair.host, lane.domain, lane.capabilities, lane.id,
               lag(lane.id) over (partition by pair.host, lane.domain, lane.capabilities order by lane.id)
                   as previous_id
          from unnest(hosts, domains) as pair (host, domain)
          join rework.placement p on p.host = pair.host
          join rework.lane on lane.operation = p.operation and lane.domain = pair.domain
         where (lane.host is null or lane.host = pair.host) and not p.paused
    ),
    -- A range ends where the hash in the upper bits changes, and where a lane that is not in this set lies between.
    numbered as (
        select host_lane.*,
               count(*) filter (where previous_id is null
                                   or previous_id >> 14 <> id >> 14
                                   or exists (select from rework.lane other
                                               where other.id > previous_id and other.id < host_lane.id))
                   over (partition by host, domain, capabilities order by id) as range
          from host_lane
    )
    select host, domain, capabilities, min(id), max(id)
      from numbered
     group by host, domain, capabilities, range;
end $$;

create function rework.rebuild_changed_host_lanes() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    perform rework.rebuild_host_lanes(array_agg(pair.host), array_agg(pair.domain))
       from (select distinct changed.host, o.domain
               from changed
               join rework.operation o on o.id = changed.operation) as pair
     having count(*) > 0;
    return null;
end $$;

create trigger placement_added after insert on rework.placement
    referencing new table as changed for each statement execute function rework.rebuild_changed_host_lanes();
create trigger placement_removed after delete on rework.placement
    referencing old table as changed for each statement execute function rework.rebuild_changed_host_lanes();

-- repair_host_lanes: compares the ranges of a host with its lanes, and rebuilds the ranges of each domain in which
-- they differ. They can differ because a transaction that makes a lane and a concurrent one that adds or deletes a
-- placement do not see each other's rows. A lane too many is harmless: a claim checks each lane that it finds. A
-- missing lane delays its tasks. Each monitor calls this function about once a minute (V17__monitor_poll.sql).
create function rework.repair_host_lanes(host text) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    -- Another transaction is changing ranges. Checking again in a minute is soon enough.
    perform from rework.lock where name = 'host_lanes' for update skip locked;
    if not found then
        return;
    end if;
    perform rework.rebuild_host_lanes(array_agg(repair_host_lanes.host), array_agg(differs.domain))
       from (with in_ranges as (
                select r.domain, r.capabilities, lane.id
                  from rework.host_lanes r
                  join rework.lane on lane.id between r.low and r.high
                 where r.host = repair_host_lanes.host
             ),
             expected as (
                select lane.domain, lane.capabilities, lane.id
                  from rework.placement p
                  join rework.lane on lane.operation = p.operation
                 where p.host = repair_host_lanes.host and (lane.host is null or lane.host = repair_host_lanes.host)
                   and not p.paused
             )
             select distinct domain
               from ((select * from in_ranges except select * from expected)
                     union all
                     (select * from expected except select * from in_ranges)) as lanes) as differs
     having count(*) > 0;
end $$;

-- unused_lanes: returns those of `lanes` that no task needs that has not ended. Not `stable`, so that it sees what
-- was committed before it was called.
create function rework.unused_lanes(lanes integer[]) returns integer[]
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    return array(
        select given.lane
          from unnest(unused_lanes.lanes) as given (lane)
         where not exists (select from rework.task t where t.lane = given.lane and t.state = 'queued')
        except
        select t.lane from rework.task t where t.state = 'delayed'
        except
        select t.lane from rework.task t where t.state = 'waiting'
        except
        select t.lane from rework.task t where t.state in ('running', 'aborting'));
end $$;

-- lane_for: returns the lane of tasks of this operation that need this host and these capabilities. Makes the
-- lane if it does not exist. Raises RW400 if the domain or the operation has too many lanes.
create function rework.lane_for(operation rework.operation, host text, capabilities text[]) returns integer
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    needs    text[] := array(select distinct c from unnest(lane_for.capabilities) c order by c);
    is_kept  boolean := coalesce(lane_for.host, '') = '' and needs = '{}';   -- whether the lane is never swept
    lane     integer;
begin
    -- The insert does nothing if a concurrent transaction made the lane, or if another lane has the number that the
    -- trigger chose. Each round tries the next number; 16384 rounds try all numbers that the trigger can choose.
    for number in 1 .. 16384 loop
        if is_kept then
            select l.id into lane from rework.lane l
             where l.operation = (lane_for.operation).id and coalesce(l.host, '') = '' and l.capabilities = '{}';
        else
            -- Other lanes are swept when no task needs them (`sweep_lanes`). The lock keeps this one until the
            -- caller's transaction has ended. Then its task is visible.
            select l.id into lane from rework.lane l
             where l.operation = (lane_for.operation).id and coalesce(l.host, '') = coalesce(lane_for.host, '')
               and l.capabilities = needs
               for key share;
        end if;
        if found then
            return lane;
        end if;
        insert into rework.lane (domain, operation, host, capabilities)
        values ((lane_for.operation).domain, (lane_for.operation).id, lane_for.host, needs)
        on conflict do nothing;
    end loop;
    raise exception 'domain `%` has too many combinations of operation, host and capabilities',
            (lane_for.operation).domain
        using errcode = 'RW400', hint = 'register some of its operations in another domain';
end $$;

-- sweep_lanes: deletes the lanes that were made longer than `age` ago and that no task needs any more, with the ranges
-- that contain no other lane. Returns how many. The lane of an operation without a host and without capabilities stays.
--
-- An open transaction may have scheduled a task that is not visible here. `rework.lane_for` has locked the lane
-- of that task until the transaction ends, and the lane is skipped. Once a lane is locked here, `lane_for` waits for
-- the end of this transaction, finds the lane deleted and makes another one. A task that became visible just before the
-- lock was taken is found by the statement after it. That statement needs a snapshot of its own, so the transaction
-- must be at `read committed`.
create function rework.sweep_lanes(age interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    unused  integer[];
    swept   bigint;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'sweep_lanes needs a transaction at `read committed`';
    end if;
    -- Another transaction is changing ranges. Sweeping in an hour is soon enough.
    perform from rework.lock where name = 'host_lanes' for update skip locked;
    if not found then
        return 0;
    end if;
    unused := rework.unused_lanes(array(
        select l.id from rework.lane l
         where (coalesce(l.host, '') <> '' or l.capabilities <> '{}')
           and l.made_at <= clock_timestamp() - sweep_lanes.age));
    if unused = '{}' then
        return 0;
    end if;
    unused := array(select l.id from rework.lane l where l.id = any (unused) for update skip locked);
    unused := rework.unused_lanes(unused);
    delete from rework.lane l where l.id = any (unused);
    get diagnostics swept = row_count;
    delete from rework.host_lanes r
     where not exists (select from rework.lane l
                        where l.id between r.low and r.high and l.domain = r.domain
                          and l.capabilities = r.capabilities);
    return swept;
end $$;

revoke all on function rework.number_lane, rework.limit_lanes, rework.add_lane_to_hosts, rework.rebuild_host_lanes,
    rework.rebuild_changed_host_lanes, rework.repair_host_lanes, rework.unused_lanes, rework.lane_for,
    rework.sweep_lanes from public;
