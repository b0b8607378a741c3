-- placement: the fact that one host can run an operation, and the file that it runs there.
-- Each registration on that host gets a new revision number.

create table rework.placement (
    id               bigint generated always as identity primary key,
    operation        bigint not null references rework.operation,
    host             text not null,
    kind             text not null check (kind in ('rust', 'python', 'command')),
    path             text not null,      -- absolute; symbolic links are kept, so `current/bin/ops` follows a release
    interpreter      text,               -- Python only: absolute; links are kept, since they select a virtualenv
    revision         integer not null default 1,
    registered_at    timestamptz not null default now(),
    unique (host, operation),
    check ((kind = 'python') = (interpreter is not null))
);

create index placement_operation on rework.placement (operation);
