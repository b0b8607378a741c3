-- lease: proof that a monitor, or a worker without a monitor, is alive. The holder, the process whose life the lease
-- proves, increments `renewals` at intervals. Other monitors observe whether the counter changes, measured by their own
-- clocks. If it does not change for long enough, one of them increments `epoch`: the lease is taken away, and the runs
-- under it are recorded as lost. The state machines are in crates/core/src/lease, the intervals in
-- crates/wire/src/lease.rs.

create table rework.lease (
    id            bigint generated always as identity primary key,
    holder        text not null,         -- for people: `monitor 3 on alpha`, `worker 5`
    epoch         bigint not null default 1,     -- incremented when the lease is taken away
    renewals      bigint not null default 0,     -- incremented by the holder
    length_ms     bigint not null default 20000 check (length_ms between 1 and 3600000),  -- milliseconds
    renewed_at    timestamptz not null default now(),  -- for display and cleanup; never decides that a holder is dead
    taken_at      timestamptz,           -- when it was taken away; null if it was not
    swept_at      timestamptz            -- set when no worker depends on it any more; it is not observed after that
) with (fillfactor = 50);                -- room for in-page updates: each renewal updates the row

create index lease_taken on rework.lease (taken_at) where taken_at is not null and swept_at is null;

-- Each monitor observes the leases that follow its own in this order: V17__monitor_poll.sql.
create index lease_ring on rework.lease (hashint8(id), id) where taken_at is null and swept_at is null;

-- A recovery of the server may lose the last transactions: a promoted standby may not have received them, and a crash
-- loses them with `synchronous_commit = off`. Claims may be among them, while their tasks still run. So nothing is
-- claimed until the holder of each live lease has compared its runs with the database, and has killed those that the
-- database does not have (core/src/lease/recovery.rs). A lease whose holder does not do so is taken away as usual.

-- recovery: its one row tells whether tasks may be claimed. Postgres empties unlogged tables at each recovery, also at
-- the promotion of a standby. So an empty table means that the server has just recovered.
create unlogged table rework.recovery (
    single     boolean primary key default true check (single),   -- allows only one row
    id         bigint not null default floor(random() * 9007199254740992)::bigint,   -- random, to tell recoveries apart
    is_over    boolean not null          -- whether tasks may be claimed
);

-- checked_lease: the leases whose holders have compared their runs with the database after the present recovery.
create unlogged table rework.checked_lease (
    lease      bigint primary key
);

-- timeline: the timeline of the write-ahead log at the end of the last recovery. A promotion starts a new timeline.
create table rework.timeline (
    single     boolean primary key default true check (single),   -- allows only one row
    id         integer not null
);

-- current_timeline: returns the timeline of the write-ahead log. Some services do not have these functions, because
-- their servers share their storage and so lose no transaction: then it returns 0.
create function rework.current_timeline() returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    return ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer;
exception when others then
    return 0;
end $$;

-- unchecked_leases: returns the live leases whose holders have not compared their runs after the present recovery. A
-- lease is live if a monitor or a worker depends on it, and it was not taken away.
create function rework.unchecked_leases() returns table (id bigint, holder text)
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
begin
    return query
    select l.id, l.holder from rework.lease l
     where l.taken_at is null and l.swept_at is null
       and not exists (select from rework.checked_lease c where c.lease = l.id)
       and (exists (select from rework.monitor m where m.lease = l.id and m.finished_at is null)
            or exists (select from rework.worker w where w.lease = l.id and w.finished_at is null))
     order by l.id;
end $$;

-- continue_recovery: does everything that is due after a recovery of the server. Monitors call it in each poll while
-- tasks may not be claimed. `recovery` is not null if the holder of `lease` has compared its runs after the recovery
-- with this id.
--
-- A crash loses nothing if commits wait for the disk. Then tasks may be claimed at once.
create function rework.continue_recovery(lease bigint, recovery bigint) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
declare
    loses_nothing  boolean;
begin
    if not exists (select from rework.recovery r) then
        loses_nothing := rework.current_timeline() = (select t.id from rework.timeline t)
                         and current_setting('synchronous_commit') <> 'off';
        insert into rework.recovery (is_over) values (loses_nothing) on conflict do nothing;
        -- The lost transactions may have used ids that these sequences would give again. Their processes may still run.
        if not loses_nothing then
            perform setval(sequence.name, nextval(sequence.name) + 10000)
               from (select pg_get_serial_sequence('rework.' || t.name, 'id')::regclass as name
                       from unnest(array['lease', 'monitor', 'worker']) as t (name)) as sequence;
        end if;
    end if;
    if exists (select from rework.recovery r where r.is_over) then
        return;
    end if;
    insert into rework.checked_lease
    select continue_recovery.lease from rework.recovery r where r.id = continue_recovery.recovery
        on conflict do nothing;
    if not exists (select from rework.unchecked_leases()) then
        update rework.recovery set is_over = true;
        update rework.timeline set id = rework.current_timeline();
        delete from rework.checked_lease;
    end if;
end $$;

revoke all on function rework.current_timeline, rework.unchecked_leases, rework.continue_recovery from public;

insert into rework.recovery (is_over) values (true);
insert into rework.timeline (id) values (rework.current_timeline());
