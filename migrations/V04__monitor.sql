-- monitor: a process that keeps the workers of its host, for some domains.
-- (host, boot_id, pid_ns, pid, pid_start) identifies the process. A pid alone does not, since it can be reused.

create table rework.monitor (
    id             bigint generated always as identity primary key,
    lease          bigint not null references rework.lease,
    host           text not null,
    boot_id        text not null,        -- random name that the kernel gives to each boot
    pid_ns         text not null,        -- pid namespace in which `pid` is valid
    pid            integer not null,
    pid_start      bigint not null,      -- start of the process in clock ticks since boot
    domains        text[] not null,
    capabilities   text[] not null default '{}',   -- what its host offers
    options        json not null,        -- for display: `minworkers`, `maxworkers`, …
    containment    text not null,        -- how the processes of a runner are killed: `cgroup` or `processes`
    memory         text not null,        -- how memory limits are enforced: `cgroup2`, `cgroup1` or `sampled`
    version        text not null,        -- version of the binary
    idle_domains   text[] not null default '{}',   -- domains with an idle worker: only these are notified
    start_faults   json not null default '[]',     -- what it cannot start now (core/src/fleet/start_fault.rs)
    pauses         bigint[] not null default '{}', -- rows of `pause` that it has carried out: nothing of them starts
    started_at     timestamptz not null default now(),
    finished_at    timestamptz,
    reason         text                  -- why it ended, for people
) with (fillfactor = 50);

create index monitor_live on rework.monitor (host) where finished_at is null;
create index monitor_lease on rework.monitor (lease);
create index monitor_lease_live on rework.monitor (lease, id) where finished_at is null;
