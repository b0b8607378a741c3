-- run: the ends of earlier runs of tasks. Each row is a claim after whose end the task was queued or delayed again.
-- The last run of a task has no row here: it is described by the columns of the task itself.

create table rework.run (
    task           bigint not null references rework.task on delete cascade,
    run            bigint not null,
    attempt        integer not null,
    token          uuid not null,        -- recognises an end that is sent again: the answer is `already recorded`
    worker         bigint,
    host           text,
    revision       text,                 -- revision of the code that ran
    outcome        text not null,        -- `failed`, `lost`, `put_off`, `not_started`, …: V15__complete.sql
    reason         text,                 -- why it ended, for people
    error          json,                 -- {kind, message, traceback}
    memory_peak    bigint,               -- bytes
    started_at     timestamptz,          -- null if its code did not start
    finished_at    timestamptz not null,
    primary key (task, run)
);
