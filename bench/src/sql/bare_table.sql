-- bare_table: creates the table of a queue that is written without rework. It has the columns and
-- the storage settings of rework.task, so that its rows are as wide. It has only two indexes: the
-- primary key, and the index of the ready tasks.
create table task (
    id              bigint generated always as identity primary key,
    operation       bigint not null,
    lane            integer not null,
    state           text not null,
    priority        smallint not null default 0,
    position        bigint not null,
    host            text,
    capabilities    text[] not null default '{}',
    run             bigint not null default 0,
    token           uuid,
    attempt         integer not null default 0,
    losses          integer not null default 0,
    worker          bigint,
    ran_on          text,
    revision        text,
    queued_at       timestamptz not null default now(),
    delayed_until   timestamptz,
    started_at      timestamptz,
    finished_at     timestamptz,
    input           json,
    input_bytes     bytea,
    output          json,
    output_bytes    bytea,
    error           json,
    reason          text,
    progress        json,
    memory_peak     bigint,
    unique_key      text,
    metadata        json,
    notify_end      boolean not null default false,
    parent          bigint,
    parent_run      bigint,
    parent_number   integer
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index task_ready on task (lane, priority desc, position) where state = 'queued';
