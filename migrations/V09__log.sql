-- log: every line that runs write, as bytes. The table has one partition per UTC day, made by
-- `rework.make_partition` (V18). Empty partitions of past days are dropped.

create sequence rework.log_id;

create table rework.log (
    id         bigint not null default nextval('rework.log_id'),   -- ascends; a reader continues after the last one
    at         timestamptz not null,
    task       bigint not null,
    run        bigint not null,
    stream     text not null,            -- `stdout`, `stderr`, `shared`, `rework`, or a logger's name
    level      text not null check (level in ('ERROR', 'WARNING', 'INFO', 'DEBUG', 'TRACE')),
    line       bytea not null,           -- without its newline
    whole      boolean not null default true   -- false if no newline followed: the next row may continue this line
) partition by range (at);

create index log_task on rework.log (task, id);

-- For a reader that follows all tasks. Ids grow with time, so a small BRIN index finds the newest pages.
create index log_recent on rework.log using brin (id) with (pages_per_range = 16, autosummarize = on);

-- Receives the lines of days that have no partition.
create table rework.log_default partition of rework.log default;
