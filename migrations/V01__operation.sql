-- operation: a named piece of code, with its schemas and limits. The newest registration wins.
-- It outlives the hosts that can run it: scheduling needs no live host.

create table rework.operation (
    id                 bigint generated always as identity primary key,
    domain             text not null check (domain <> ''),
    name               text not null check (name <> ''),
    version            bigint not null default 1,   -- counts changes, so that workers know what they hold
    input_schema       json,
    output_schema      json,
    output_form        text not null default 'json' check (output_form in ('json', 'bytes')),
    timeout_ms         bigint check (timeout_ms > 0),
    memory_bytes       bigint check (memory_bytes > 0),
    attempts           integer not null default 1 check (attempts >= 1),
    grace_ms           bigint not null default 3000 check (grace_ms >= 0),
    retry_lost         boolean not null default false,
    priority           smallint not null default 0, -- of its tasks, where who schedules says none
    concurrency        integer not null default 1 check (concurrency >= 1),   -- runs at once in one runner
    registered_at      timestamptz not null default now(),
    unregistered_at    timestamptz,                 -- not to be scheduled any more; its tasks stay
    unique (domain, name)
);

create index operation_name on rework.operation (name);
