-- task: one request to run an operation with one input. `rework.schedule` (V11) inserts it, `rework.claim` (V13)
-- makes it a run of a worker, `rework.complete` (V15) records the end of the run. docs/tasks.md has the states.

create sequence rework.position;

-- A domain instead of a check constraint of the table. Each statement that writes reads a check constraint from the
-- catalog again. For a task that is claimed alone, that takes a quarter of its time in the server.
create domain rework.state as text check (value in
    ('queued', 'delayed', 'running', 'aborting', 'done', 'failed', 'aborted', 'lost'));

-- `operation` and `lane` have no foreign keys. Checking both for each row costs more than inserting the row, and
-- locks two rows that other tasks share. It is safe to leave them out: the functions that insert tasks take both
-- values from rows that they have just read, and no role of `rework.grant_rights` may delete an operation or a lane.
-- Only `rework.sweep_lanes` (V06) deletes lanes, and none that a task needs that has not ended.
--
-- The fillfactor of the primary key leaves room in its pages. Each claim and each end of a task adds an entry near
-- its first one, and Postgres searches a full page for dead entries before it inserts.
create table rework.task (
    id              bigint generated always as identity primary key with (fillfactor = 50),
    operation       bigint not null,
    lane            integer not null,                     -- what it needs of a host, as a number: V06__lane.sql
    state           rework.state not null,
    priority        smallint not null default 0,          -- higher first
    position        bigint not null default nextval('rework.position'),   -- order within a priority; lower first
    host            text,                                 -- the only host that may run it; null: any
    capabilities    text[] not null default '{}',         -- capabilities that its host must have
    run             bigint not null default 0,            -- number of claims; never reset
    token           uuid,                                 -- set by the last claim; `run` and `token` are the fence
    attempt         integer not null default 0,           -- runs that count against the operation's `attempts`
    losses          integer not null default 0,           -- number of consecutive lost runs
    worker          bigint,                               -- worker of the last claim
    ran_on          text,                                 -- host of the last claim
    revision        text,                                 -- revision of the code that ran
    queued_at       timestamptz not null default now(),   -- when it was scheduled
    delayed_until   timestamptz,
    started_at      timestamptz,                          -- when its code started, which is later than the claim
    finished_at     timestamptz,
    input           json,
    input_bytes     bytea,                                -- an input that is not JSON
    output          json,
    output_bytes    bytea,                                -- an output that is not JSON
    error           json,                                 -- {kind, message, traceback}
    reason          text,                                 -- why it ended, for people
    progress        json,                                 -- {done, total, message}
    memory_peak     bigint,                               -- bytes, of the last run
    unique_key      text,                                 -- at most one task of its operation has this key
    metadata        json,                                 -- of the caller; rework does not read it
    notify_end      boolean not null default false,       -- whether a client waits: notify `rework_end` at the end
    parent          bigint,                               -- the task whose code scheduled this one
    parent_run      bigint,                               -- the run of `parent` in which it did
    parent_number   integer                               -- number of the request within that run, from 1
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index task_ready on rework.task (lane, priority desc, position) where state = 'queued';
create index task_delayed on rework.task (delayed_until) where state = 'delayed';
-- `task_live` keeps the entries of finished runs until no snapshot can see them, so it is slow under an old snapshot.
-- `task_aborting` has few entries. The query that each monitor sends every second uses this one.
create index task_aborting on rework.task (worker) where state = 'aborting';
create index task_live on rework.task (worker) where state in ('running', 'aborting');
create unique index task_unique on rework.task (operation, unique_key) where unique_key is not null;
create unique index task_parent on rework.task (parent, parent_run, parent_number) where parent is not null;
