-- permissions: what a role needs to schedule, to read or to run, and no more.
--
-- Functions that change the shape of the log run with their owner's rights, so that nobody else needs
-- the right to make or drop tables.

-- The partition of one day, in UTC. Another session may make it at the same moment; a default partition
-- that holds lines of the day already, or a lock that is not to be had, leave it unmade, which loses nothing.
create function rework.make_partition(day date) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp set lock_timeout = '200ms' as $$
declare
    name  text := 'log_' || to_char(day, 'YYYYMMDD');
begin
    if abs(day - (now() at time zone 'UTC')::date) <= 31 and to_regclass('rework.' || name) is null then
        execute format('create table rework.%I partition of rework.log for values from (%L) to (%L)', name,
                       day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    end if;
exception when duplicate_table or check_violation or lock_not_available then
    null;
end $$;

-- Drops partitions that hold no line and lie before yesterday, so that nobody writes to them any more. A
-- lock that is not to be had leaves one where it is, which loses nothing.
create function rework.drop_partitions() returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp set lock_timeout = '200ms' as $$
declare
    old   regclass;
    used  boolean;
begin
    for old in
        select i.inhrelid::regclass
          from pg_inherits i
          join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'rework.log'::regclass
           and c.relname ~ '^log_[0-9]{8}$'
           and c.relname < 'log_' || to_char(now() at time zone 'UTC' - interval '1 day', 'YYYYMMDD')
    loop
        begin
            execute format('select exists (select from %s)', old) into used;
            continue when used;
            execute format('lock table %s in access exclusive mode', old);
            execute format('select exists (select from %s)', old) into used;
            if not used then
                execute format('drop table %s', old);
            end if;
        exception when lock_not_available or undefined_table then
            null;
        end;
    end loop;
end $$;

-- Gives a role the rights to `schedule` (and abort), to `read`, or to `run`: monitors, workers and every
-- command but `init-db`. To be called by the schema's owner.
create function rework.grant_rights(role name, rights text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
declare
    statements  text[];
begin
    statements := case rights
        when 'schedule' then array[
            'grant select on version, migration to %1$I',
            'grant execute on function schedule, schedule_many, abort, state_of, operation_named to %1$I']
        when 'read' then array[
            'grant select on all tables in schema rework to %1$I',
            'grant execute on function schedule_clock, operation_named to %1$I']
        when 'run' then array[
            'grant select on all tables in schema rework to %1$I',
            'grant insert on audit, lane, lease, log, monitor, operation, placement, run, schedule, tick, worker to %1$I',
            'grant update on lane, lease, monitor, operation, placement, schedule, task, tick, worker to %1$I',
            'grant delete on lease, log, monitor, placement, run, schedule, task, tick, worker to %1$I',
            'grant usage on sequence position, log_id, monitor_id_seq to %1$I',
            'grant execute on function schedule, schedule_many, abort, state_of, operation_named, lane_for, hint_ready, claim, first_ready, runnable, retry_backoff,
                complete, tick, mend_served, fire, run_scheduled, schedule_clock, make_partition, drop_partitions to %1$I']
    end;
    if statements is null then
        raise exception 'there are no rights `%`', rights
            using errcode = 'RW400', hint = 'they are `schedule`, `read` and `run`';
    end if;
    execute format('grant usage on schema rework to %I', role);
    for i in 1 .. cardinality(statements) loop
        execute format(statements[i], role);
    end loop;
end $$;

revoke all on function rework.make_partition, rework.drop_partitions, rework.grant_rights from public;
