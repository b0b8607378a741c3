-- monitor: a process that keeps the workers of its host, for some domains.
-- Who it is: (host, boot_id, pid_ns, pid, pid_start), never a pid alone.

create table rework.monitor (
    id             bigint generated always as identity primary key,
    lease          bigint not null references rework.lease,
    host           text not null,
    boot_id        text not null,
    pid_ns         text not null,
    pid            integer not null,
    pid_start      bigint not null,
    domains        text[] not null,
    capabilities   text[] not null default '{}',
    options        json not null,
    containment    text not null,        -- how a runner's tree dies: `cgroup` or `processes`
    memory         text not null,        -- how memory limits are kept: `cgroup2`, `cgroup1` or `sampled`
    version        text not null,
    wants          text[] not null default '{}',   -- domains with an idle worker: worth a notification
    started_at     timestamptz not null default now(),
    finished_at    timestamptz,
    reason         text
) with (fillfactor = 50);

create index monitor_live on rework.monitor (host) where finished_at is null;
create index monitor_lease on rework.monitor (lease);
create index monitor_lease_live on rework.monitor (lease, id) where finished_at is null;
