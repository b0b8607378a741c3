-- worker: a process that claims tasks of one domain, has a runner execute them, and records the results.
-- The monitor inserts the row before it starts the process, then adds the pid.

create table rework.worker (
    id             bigint generated always as identity primary key,
    monitor        bigint not null references rework.monitor,
    lease          bigint not null references rework.lease,   -- its monitor's; its own after the monitor died
    host           text not null,
    domain         text not null,
    boot_id        text not null,        -- random name that the kernel gives to each boot
    pid_ns         text not null,        -- pid namespace in which `pid` is valid
    pid            integer,              -- null while the process is not started
    pid_start      bigint,               -- start of the process in clock ticks since boot
    process_tag    uuid not null default gen_random_uuid(),   -- in the environment of all processes of its runners
    cgroup         text,                 -- directory in which the cgroups of its runners are made; null without cgroups
    memory_cgroup  text,                 -- the same in the v1 memory hierarchy; null if that is not used
    memory_bytes   bigint not null default 0,   -- bytes used by it and all descendants, at the last measurement
    cpu_percent    integer not null default 0,  -- percent of one processor, at the last measurement
    requested      text check (requested in ('shutdown', 'kill')),   -- how a user wants it to stop; null: no request
    created_at     timestamptz not null default now(),
    started_at     timestamptz,          -- when it was ready to claim
    finished_at    timestamptz,
    reason         text                  -- why it ended, for people
) with (fillfactor = 70);

create index worker_live on rework.worker (monitor, id) where finished_at is null;
create index worker_not_started on rework.worker (monitor, id) where finished_at is null and pid is null;
create index worker_lease on rework.worker (lease);
create index worker_lease_live on rework.worker (lease, id) where finished_at is null;
create index worker_live_host on rework.worker (host) where finished_at is null;
