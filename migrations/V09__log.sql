-- log: everything that runs write, line by line, as bytes. Partitions by day: retention drops them.

create sequence rework.log_id;

create table rework.log (
    id         bigint not null default nextval('rework.log_id'),   -- a reader follows by it
    at         timestamptz not null,
    task       bigint not null,
    run        bigint not null,
    stream     text not null,            -- `stdout`, `stderr`, `shared`, `rework`, or a logger's name
    level      text not null check (level in ('ERROR', 'WARNING', 'INFO', 'DEBUG', 'TRACE')),
    line       bytea not null,           -- without its newline
    whole      boolean not null default true   -- false: no newline followed; the next row goes on with it, or nothing
) partition by range (at);

create index log_task on rework.log (task, id);

-- For whoever follows all tasks: ids grow with time, so a few pages tell where the last ones are.
create index log_recent on rework.log using brin (id) with (pages_per_range = 16, autosummarize = on);

-- For days whose partition nobody made.
create table rework.log_default partition of rework.log default;
