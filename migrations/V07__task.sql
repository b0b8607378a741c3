-- task: one request to run an operation with an input.
--

create sequence rework.position;

-- A domain, and no check of the table: a check is read anew from the catalog by each statement that
-- writes, which costs a task that is claimed alone a quarter of its time in the server.
create domain rework.state as text check (value in
    ('queued', 'delayed', 'running', 'aborting', 'done', 'failed', 'aborted', 'lost'));

-- The key's index is left half empty where it grows: each claim and each end of a task adds an entry
-- beside its first one, and a full page is first searched for dead ones.
--
-- `operation` and `lane` are not declared as foreign keys: to look both up for each row costs more
-- than to insert it, and locks two rows that other tasks share. The functions that make tasks draw
-- them from rows that they have just read, and nobody deletes an operation or a lane: no role of
-- `rework.grant_rights` has the right to.
create table rework.task (
    id              bigint generated always as identity primary key with (fillfactor = 50),
    operation       bigint not null,
    lane            integer not null,
    state           rework.state not null,
    priority        smallint not null default 0,          -- higher first
    position        bigint not null default nextval('rework.position'),   -- drawn anew whenever it becomes ready
    host            text,                                 -- the only host that may run it
    capabilities    text[] not null default '{}',         -- what its host must have
    run             bigint not null default 0,            -- counts claims, never reset
    token           uuid,                                 -- of the last claim; with `run`, the fence
    attempt         integer not null default 0,           -- runs that count against the operation's attempts
    losses          integer not null default 0,           -- times in a row that its run was lost
    worker          bigint,                               -- of the last claim
    ran_on          text,                                 -- the host of the last claim
    revision        text,                                 -- of the code that ran
    queued_at       timestamptz not null default now(),
    delayed_until   timestamptz,
    started_at      timestamptz,                          -- when its code began, not when it was claimed
    finished_at     timestamptz,
    input           json,
    input_bytes     bytea,
    output          json,
    output_bytes    bytea,
    error           json,                                 -- {kind, message, traceback}
    reason          text,                                 -- how it ended, in words
    progress        json,                                 -- {done, total, message}
    memory_peak     bigint,                               -- bytes, of the last run
    unique_key      text,
    metadata        json,
    watched         boolean not null default false,       -- somebody waits for its end: notify
    parent          bigint,                               -- the task that scheduled it
    parent_run      bigint,
    parent_number   integer
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index task_ready on rework.task (lane, priority desc, position) where state = 'queued';
create index task_delayed on rework.task (delayed_until) where state = 'delayed';
-- What was claimed once stands in `task_live` until nobody can see it any more: it is not for what is asked each second.
create index task_aborting on rework.task (worker) where state = 'aborting';
create index task_live on rework.task (worker) where state in ('running', 'aborting');
create unique index task_unique on rework.task (operation, unique_key) where unique_key is not null;
create unique index task_parent on rework.task (parent, parent_run, parent_number) where parent is not null;
