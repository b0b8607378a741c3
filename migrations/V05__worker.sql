-- worker: a process that claims tasks of one domain, has them run, and records what happened.

create table rework.worker (
    id             bigint generated always as identity primary key,
    monitor        bigint not null references rework.monitor,
    lease          bigint not null references rework.lease,   -- its monitor's, or its own when that one is gone
    host           text not null,
    domain         text not null,
    boot_id        text not null,
    pid_ns         text not null,
    pid            integer,              -- null: not started yet
    pid_start      bigint,
    mark           uuid not null default gen_random_uuid(),   -- names the process trees of its runners
    cgroup         text,                 -- where their cgroups are made, if they are
    memory_cgroup  text,                 -- and those of the v1 memory hierarchy
    memory_bytes   bigint not null default 0,   -- of its whole process tree, as its monitor last saw it
    cpu_percent    integer not null default 0,
    asked          text check (asked in ('shutdown', 'kill')),
    created_at     timestamptz not null default now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    reason         text
) with (fillfactor = 70);

create index worker_live on rework.worker (monitor, id) where finished_at is null;
create index worker_unborn on rework.worker (monitor, id) where finished_at is null and pid is null;
create index worker_lease on rework.worker (lease);
create index worker_lease_live on rework.worker (lease, id) where finished_at is null;
create index worker_live_host on rework.worker (host) where finished_at is null;
