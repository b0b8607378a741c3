-- operation: a named piece of code that tasks run, with its schemas and limits. A new registration replaces the
-- columns of the earlier one (core/src/operation/sql/register.sql). Which hosts can run it is in V02__placement.sql.
-- The row stays when no host can run the operation, so that tasks can be scheduled at any time.

create table rework.operation (
    id                 bigint generated always as identity primary key,
    domain             text not null check (domain <> ''),
    name               text not null check (name <> ''),
    version            bigint not null default 1,   -- number of changes; a worker caches operations by it
    input_schema       json,                        -- JSON Schema of the input; null if not declared
    output_schema      json,                        -- JSON Schema of the output; null if not declared
    output_form        text not null default 'json' check (output_form in ('json', 'bytes')),
    timeout_ms         bigint check (timeout_ms > 0),    -- milliseconds that a run may take; null: no limit
    memory_bytes       bigint check (memory_bytes > 0),  -- bytes that the processes of a run may use; null: no limit
    attempts           integer not null default 1 check (attempts >= 1),      -- maximum number of attempts
    grace_ms           bigint not null default 3000 check (grace_ms >= 0),    -- milliseconds from stop request to kill
    retry_lost         boolean not null default false,   -- whether a lost run may be repeated
    priority           smallint not null default 0,      -- default for its tasks; higher first
    concurrency        integer not null default 1 check (concurrency >= 1),   -- maximum number of runs in one runner
    registered_at      timestamptz not null default now(),
    unregistered_at    timestamptz,                 -- since then no task can be scheduled; existing tasks stay
    unique (domain, name)
);

create index operation_name on rework.operation (name);

-- lock: one row for each thing that only one transaction at a time may do. A transaction locks the row by `for update`.
-- An advisory lock would not do: every role that may connect can take any advisory lock, and so stop everybody else. To
-- lock a row of this table, a role needs a right on it.
create table rework.lock (
    name    text primary key
);

insert into rework.lock (name) values
    ('operations'),     -- registering operations: core/src/operation/sql/lock_operation_registration.sql
    ('monitors'),       -- registering a monitor or its domains: core/src/fleet/sql/lock_monitor_registration.sql
    ('host_lanes');     -- computing ranges of lanes: V06__lane.sql
