-- placement: how one host runs an operation. Each registration that changes it is a new revision.

create table rework.placement (
    id               bigint generated always as identity primary key,
    operation        bigint not null references rework.operation,
    host             text not null,
    kind             text not null check (kind in ('rust', 'python', 'command')),
    path             text not null,      -- absolute, symlinks kept: `current/bin/ops` follows a release
    interpreter      text,               -- of a Python module: absolute, symlinks kept, for they make an environment
    revision         integer not null default 1,
    registered_at    timestamptz not null default now(),
    unique (host, operation),
    check ((kind = 'python') = (interpreter is not null))
);

create index placement_operation on rework.placement (operation);
