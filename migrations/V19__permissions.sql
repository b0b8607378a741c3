-- permissions: the rights that a role needs to schedule, to read or to run tasks, and no others.

-- grant_rights: gives a role one set of rights. Only the owner of the schema can call this function. Raises RW400 if
-- there is no such set.
--   schedule    schedule and abort tasks
--   read        read everything
--   run         run monitors, workers and every command except `init-db`
create function rework.grant_rights(role name, rights text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
declare
    statements  text[];
begin
    statements := case rights
        when 'schedule' then array[
            'grant select on version, migration to %1$I',
            'grant execute on function schedule, schedule_once, schedule_many, schedule_many_once, abort, state_of,
                operation_named to %1$I']
        when 'read' then array[
            'grant select on all tables in schema rework to %1$I',
            'grant execute on function schedule_clock, operation_named to %1$I']
        when 'run' then array[
            'grant select on all tables in schema rework to %1$I',
            'grant insert on audit, lane, lease, log, monitor, operation, placement, run, schedule, firing,
                worker to %1$I',
            'grant update on flow, lane, lease, lock, monitor, operation, placement, schedule, task, firing, worker,
                key_holder to %1$I',
            'grant delete on lease, log, monitor, placement, run, schedule, schedule_watch, task, firing, worker,
                key_holder to %1$I',
            'grant usage on sequence position, log_id, monitor_id_seq, operation_id_seq to %1$I',
            'grant execute on function schedule, schedule_once, schedule_many, schedule_many_once, schedule_child,
                check_options, abort, state_of, operation_named, lane_for, notify_ready, claim, claimable_lanes,
                first_ready, runnable, retry_backoff, is_retried, error_kind, duration_ms, complete, monitor_poll,
                repair_host_lanes, sweep_lanes, watch_schedules, fire, run_scheduled, schedule_clock, make_partition,
                drop_partitions, unchecked_leases, continue_recovery, follow, follow_missed,
                make_flows, advance, advance_missed, retry_flow, fail_unregistered, pause, resume to %1$I']
    end;
    if statements is null then
        raise exception 'there is no set of rights named `%`', rights
            using errcode = 'RW400', hint = 'use `schedule`, `read` or `run`';
    end if;
    execute format('grant usage on schema rework to %I', role);
    for i in 1 .. cardinality(statements) loop
        execute format(statements[i], role);
    end loop;
end $$;

revoke all on function rework.grant_rights from public;
