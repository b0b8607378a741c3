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
    retry              json,                        -- retry policy of its tasks: V14__retry_policy.sql; null: defaults
    registered_at      timestamptz not null default now(),
    unregistered_at    timestamptz,                 -- since then no task can be scheduled; existing tasks stay
    available          text,                        -- check whether a host can run it now, for people; null: none
    run_after          text[] not null default '{}',     -- operations of which a task follows each `done` one
    run_before         text[] not null default '{}',     -- operations of which a task ends before each one starts
    on_failure         text[] not null default '{}',     -- operations of which a task follows each failed or lost one
    is_flow            boolean not null default false,   -- whether a run returns a plan: V24__flow.sql
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
    ('operations'),     -- registering operations (core/src/operation/sql/lock_operation_registration.sql), and pauses
    ('monitors'),       -- registering a monitor or its domains: core/src/fleet/sql/lock_monitor_registration.sql
    ('host_lanes');     -- computing ranges of lanes: V06__lane.sql

-- name_fault: returns why a text cannot be the name of an operation, a domain, a host or a capability, as the end of a
-- sentence; null if it can. A name has 1 to 255 bytes. Characters that nobody sees, and those that change the direction
-- of a text, are refused: with them, two different names look the same. They are the control characters, the separators
-- of lines and of paragraphs, and the characters with the Unicode property Default_Ignorable_Code_Point.
-- core/src/values/name.rs has the same rule for the command line.
create function rework.name_fault(name text) returns text
language sql immutable as $$
    select case
        when name_fault.name = '' then 'is empty'
        when octet_length(name_fault.name) > 255 then 'is longer than 255 bytes'
        when name_fault.name ~ (
                E'[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u034F\\u061C\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F'
             || E'\\u200B-\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u3164\\uFE00-\\uFE0F\\uFEFF\\uFFA0\\uFFF0-\\uFFFB'
             || E'\\U0001BCA0-\\U0001BCA3\\U0001D173-\\U0001D17A\\U000E0000-\\U000E0FFF]')
        then 'contains an invisible character'
    end
$$;

-- operation_named: returns the registered operation with this name, in this domain (null: in any, if only one has it).
-- Raises RW404 if there is none, RW300 if the domain is null and several domains have one, and RW400 if the name is
-- null.
create function rework.operation_named(operation text, domain text) returns rework.operation
language plpgsql stable security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    domains        text[];
    operation_row  rework.operation;
begin
    if operation_named.operation is null then
        raise exception 'no operation is given' using errcode = 'RW400', hint = 'see `rework list-operations`';
    end if;
    select array_agg(o.domain order by o.domain) into domains
      from rework.operation o
     where o.name = operation_named.operation and o.unregistered_at is null
       and (operation_named.domain is null or o.domain = operation_named.domain);
    if domains is null and operation_named.domain is null then
        raise exception 'operation `%` is not registered', operation_named.operation
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    elsif domains is null then
        raise exception 'operation `%` is not registered in domain `%`',
                operation_named.operation, operation_named.domain
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    elsif cardinality(domains) > 1 then
        raise exception 'operation `%` is registered in several domains: %',
                operation_named.operation, array_to_string(domains, ', ')
            using errcode = 'RW300',
                  hint = format('choose one: `--domain %s`, or domain => %L in SQL', domains[1], domains[1]);
    end if;
    select o.* into operation_row from rework.operation o
     where o.name = operation_named.operation and o.domain = domains[1];
    return operation_row;
end $$;

revoke all on function rework.name_fault, rework.operation_named from public;
