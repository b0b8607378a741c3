-- run: each claim of a task that ended without ending the task. The last one is on the task itself.

create table rework.run (
    task           bigint not null references rework.task on delete cascade,
    run            bigint not null,
    attempt        integer not null,
    token          uuid not null,        -- so that its end, told again, is `already recorded`
    worker         bigint,
    host           text,
    revision       text,
    outcome        text not null,        -- what happened: `failed`, `lost`, `drained`, `unbegun`, …
    reason         text,
    error          json,
    memory_peak    bigint,
    started_at     timestamptz,          -- null: its code never began
    finished_at    timestamptz not null,
    primary key (task, run)
);
