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
