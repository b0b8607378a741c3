-- placement: the fact that one host can run an operation, and the file that it runs there.
-- Each registration on that host gets a new revision number.
--
-- pause: what a user has paused, at the end of this file.

create table rework.placement (
    id               bigint generated always as identity primary key,
    operation        bigint not null references rework.operation,
    host             text not null,
    kind             text not null check (kind in ('rust', 'python', 'command')),
    path             text not null,      -- absolute; symbolic links are kept, so `current/bin/ops` follows a release
    interpreter      text,               -- Python only: absolute; links are kept, since they select a virtualenv
    revision         integer not null default 1,
    registered_at    timestamptz not null default now(),
    paused           boolean not null default false,   -- whether a row of `pause` concerns it: nothing of it is claimed
    unique (host, operation),
    check ((kind = 'python') = (interpreter is not null))
);

create index placement_operation on rework.placement (operation);

-- pause: something that a user has paused. No task of it is claimed until it is resumed. Tasks can still be scheduled.
--
-- How it takes effect. The transaction of `rework.pause` sets `placement.paused`, and takes the lanes of these
-- placements out of the ranges that hosts can run (`host_lanes`, V06). So a claim never reads them, and they cost
-- nothing. A claim that has read them before checks `placement.paused` (`rework.runnable`, V13). No claim whose
-- snapshot is later than the commit takes a task that is paused. One whose snapshot is earlier may take tasks, and
-- workers may have claimed others and not started them. The monitors have these put back into the queue
-- (monitor/src/state/pauses.rs). Each one stores in `monitor.pauses` which pauses it has carried out. The command
-- `rework pause` waits for that.
create table rework.pause (
    id          bigint generated always as identity primary key,
    domain      text,                    -- null: every domain
    operation   text,                    -- the name of an operation of `domain`; null: every operation
    host        text,                    -- null: every host
    paused_at   timestamptz not null default clock_timestamp(),
    actor       text not null default session_user,    -- the database role
    check (domain is not null or operation is null),
    check (domain is not null or host is not null)
);

create unique index pause_scope on rework.pause
    (coalesce(domain, ''), coalesce(operation, ''), coalesce(host, ''));

-- paused_operation: one row for each operation and each pause that concerns it, for people. `host` is the host of the
-- pause, null for every host. `is_everywhere` says for a pause of one host whether no other host can run the operation.
create view rework.paused_operation as
select o.id as operation, p.host, p.paused_at, row_to_json(p) as pause,
       exists (select from rework.placement l where l.operation = o.id and l.host = p.host)
           and not exists (select from rework.placement l where l.operation = o.id and not l.paused) as is_everywhere
  from rework.pause p
  join rework.operation o on (p.domain is null or o.domain = p.domain)
                         and (p.operation is null or o.name = p.operation);

-- pause_of: returns the pause for which a queued task of an operation waits, for people. `host` is the only host that may
-- run the task, null for every host. Null if the task waits for none.
create function rework.pause_of(operation bigint, host text) returns json
language sql stable as $$
    select p.pause from rework.paused_operation p
     where p.operation = pause_of.operation
       and (p.host is null or p.host = pause_of.host or pause_of.host is null and p.is_everywhere)
     order by p.host is not null, p.paused_at limit 1
$$;

-- is_paused: returns whether a pause concerns this operation of this domain on this host.
create function rework.is_paused(domain text, operation text, host text) returns boolean
language sql stable as $$
    select exists (select from rework.pause p
                    where (p.domain is null or p.domain = is_paused.domain)
                      and (p.operation is null or p.operation = is_paused.operation)
                      and (p.host is null or p.host = is_paused.host))
$$;

-- pause_new_placements: sets `paused` for new placements. The trigger runs before `placement_added` (V06), which needs
-- the result, because triggers run in the order of their names.
create function rework.pause_new_placements() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    if exists (select from rework.pause) then
        update rework.placement p set paused = true
          from changed
          join rework.operation o on o.id = changed.operation
         where p.id = changed.id and rework.is_paused(o.domain, o.name, changed.host);
    end if;
    return null;
end $$;

create trigger pause_new_placements after insert on rework.placement
    referencing new table as changed for each statement execute function rework.pause_new_placements();

-- pausable_domain: checks the names that `pause` and `resume` get. Returns the domain: if an operation is named without
-- one, the only domain that has it. Raises RW400 if nothing is named, RW404 if something does not exist, and RW300 if
-- several domains have the operation.
create function rework.pausable_domain(domain text, operation text, host text) returns text
language plpgsql stable security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    if num_nonnulls(pausable_domain.domain, pausable_domain.operation, pausable_domain.host) = 0 then
        raise exception 'neither a domain, nor an operation, nor a host is given'
            using errcode = 'RW400', hint = 'give one of them at least, for example the domain `default`';
    end if;
    if pausable_domain.host is not null
       and not exists (select from rework.placement p where p.host = pausable_domain.host)
       and not exists (select from rework.monitor m where m.host = pausable_domain.host) then
        raise exception 'there is no host `%`', pausable_domain.host
            using errcode = 'RW404', hint = 'see `rework list-monitors`';
    end if;
    if pausable_domain.operation is not null then
        return (rework.operation_named(pausable_domain.operation, pausable_domain.domain)).domain;
    end if;
    if pausable_domain.domain is not null
       and not exists (select from rework.operation o where o.domain = pausable_domain.domain)
       and not exists (select from rework.monitor m
                        where m.finished_at is null and pausable_domain.domain = any (m.domains)) then
        raise exception 'there is no domain `%`', pausable_domain.domain
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    end if;
    return pausable_domain.domain;
end $$;

-- lock_pauses: takes the lock of registrations until the end of the transaction. So a pause finds every placement, and
-- a registration every pause. The statements after it need snapshots of their own, so the transaction must be at `read
-- committed`.
create function rework.lock_pauses() returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'a pause needs a transaction at `read committed`'
            using errcode = 'RW400', hint = 'begin the transaction with `begin isolation level read committed`';
    end if;
    perform from rework.lock where name = 'operations' for update;
end $$;

-- apply_pauses: makes the placements and ranges of lanes agree with the rows of `pause`, after the pause of this scope
-- was added or removed. Notifies the monitors, and records the action in the audit.
create function rework.apply_pauses(action text, domain text, operation text, host text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    hosts    text[];
    domains  text[];
begin
    with changed as (
        update rework.placement p set paused = not p.paused
          from rework.operation o
         where o.id = p.operation
           and (apply_pauses.domain is null or o.domain = apply_pauses.domain)
           and (apply_pauses.operation is null or o.name = apply_pauses.operation)
           and (apply_pauses.host is null or p.host = apply_pauses.host)
           and p.paused <> rework.is_paused(o.domain, o.name, p.host)
        returning p.host, o.domain
    )
    select array_agg(pair.host), array_agg(pair.domain) into hosts, domains
      from (select distinct changed.host, changed.domain from changed) as pair;
    if hosts is not null then
        perform rework.rebuild_host_lanes(hosts, domains);
    end if;
    insert into rework.audit (action, subject, detail)
    values (apply_pauses.action,
            case when apply_pauses.operation is not null
                 then format('operation %s.%s', apply_pauses.domain, apply_pauses.operation)
                 when apply_pauses.domain is not null then 'domain ' || apply_pauses.domain
                 else 'host ' || apply_pauses.host end,
            json_build_object('domain', apply_pauses.domain, 'operation', apply_pauses.operation,
                              'host', apply_pauses.host));
    perform pg_notify('rework', 'pause');
end $$;

-- pause: pauses an operation, a domain or a host, or what several of them have in common. Returns the id of the pause,
-- also if exactly this was paused before: then nothing changes. Raises the errors of `pausable_domain`.
create function rework.pause(
    domain     text default null,    -- null: every domain
    operation  text default null,    -- null: every operation
    host       text default null     -- null: every host
) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    in_domain  text := rework.pausable_domain(pause.domain, pause.operation, pause.host);
    pause_id   bigint;
begin
    perform rework.lock_pauses();
    insert into rework.pause as p (domain, operation, host)
    values (in_domain, pause.operation, pause.host)
    on conflict do nothing
    returning p.id into pause_id;
    if pause_id is null then
        return (select p.id from rework.pause p
                 where p.domain is not distinct from in_domain
                   and p.operation is not distinct from pause.operation
                   and p.host is not distinct from pause.host);
    end if;
    perform rework.apply_pauses('pause', in_domain, pause.operation, pause.host);
    return pause_id;
end $$;

-- resume: ends the pause with exactly these values. If only the operation and perhaps the host are given, the domain
-- may be any. Returns whether there was such a pause. Other pauses may still concern the same tasks. Raises RW300 if
-- the operation is paused in several domains. If there is no such pause, raises the errors of `pausable_domain`.
create function rework.resume(
    domain     text default null,
    operation  text default null,
    host       text default null
) returns boolean
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    domains    text[];
    in_domain  text;
begin
    perform rework.lock_pauses();
    select array_agg(p.domain order by p.domain) into domains
      from rework.pause p
     where p.operation is not distinct from resume.operation
       and p.host is not distinct from resume.host
       and (p.domain is not distinct from resume.domain
            or resume.domain is null and resume.operation is not null);
    if domains is null then
        perform rework.pausable_domain(resume.domain, resume.operation, resume.host);
        return false;
    elsif cardinality(domains) > 1 then
        raise exception 'operation `%` is paused in several domains: %',
                resume.operation, array_to_string(domains, ', ')
            using errcode = 'RW300',
                  hint = format('choose one: `--domain %s`, or domain => %L in SQL', domains[1], domains[1]);
    end if;
    in_domain := domains[1];
    delete from rework.pause p
     where p.domain is not distinct from in_domain
       and p.operation is not distinct from resume.operation
       and p.host is not distinct from resume.host;
    perform rework.apply_pauses('resume', in_domain, resume.operation, resume.host);
    return true;
end $$;

revoke all on function rework.is_paused, rework.pause_new_placements, rework.pausable_domain, rework.lock_pauses,
    rework.apply_pauses, rework.pause, rework.resume from public;
