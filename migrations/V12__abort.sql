-- abort: requests the end of a task, and returns the state that the task has afterwards.
--   delayed, queued,
--   waiting            becomes `aborted` at once, and its end is followed (V20__edge.sql)
--   waiting, a flow    becomes `aborting`; with `revert` its steps are reverted before it ends (V31__flow_abort.sql)
--   running            becomes `aborting`; `rework.complete` makes it `aborted` when none of its processes is left
--   any other state    stays as it is
-- Raises RW404 if there is no such task, and RW413 if the reason has more than 1000 bytes. `reason` completes the
-- phrase `aborted …`.
--
-- The steps after `aborting`:
--   1. The monitor reads the request by `rework.monitor_poll` (monitor/src/state/poll.rs) and sends it to the worker
--      (worker/src/supervisor.rs). A worker without a monitor reads it itself when it renews its lease
--      (core/src/lease/sql/renew_own_lease.sql).
--   2. The worker tells the runner to stop (worker/src/run_loop/abort.rs): `abort` to a runner with an SDK, SIGTERM to
--      a command.
--   3. If the run has not stopped within the grace period, the worker kills the runner
--      (worker/src/run_loop/timeout.rs).
--   4. The worker records the end.

create function rework.abort(task bigint, reason text default 'from SQL', revert boolean default true) returns text
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    full_reason    text := 'aborted ' || coalesce(nullif(abort.reason, ''), 'from SQL');
    current_state  text;
    client_waits   boolean;
begin
    if octet_length(abort.reason) > 1000 then
        raise exception 'the reason to abort task % is longer than 1000 bytes', abort.task
            using errcode = 'RW413', hint = 'write one line';
    end if;
    -- Each update changes the task only if it is in an expected state. If neither does, the task has ended, or its
    -- state changed between the statements. In the second case, try again.
    loop
        if exists (select from rework.flow f where f.id = abort.task and f.ended_at is null) then
            current_state := rework.abort_flow(abort.task, full_reason, coalesce(abort.revert, true));
            insert into rework.audit (action, subject, detail)
            values ('abort', 'task ' || abort.task, json_build_object('state', current_state, 'reason', full_reason));
            return current_state;
        end if;
        -- A waiting task that awaits nothing has just become a flow.
        update rework.task t set state = 'aborted', finished_at = clock_timestamp(), reason = full_reason
         where t.id = abort.task and (t.state in ('delayed', 'queued') or t.state = 'waiting' and t.awaits > 0)
        returning t.state, t.notify_end into current_state, client_waits;
        exit when current_state is not null;
        update rework.task t set state = 'aborting', reason = full_reason
         where t.id = abort.task and t.state = 'running'
        returning t.state into current_state;
        exit when current_state is not null;
        select t.state into current_state from rework.task t where t.id = abort.task;
        if current_state is null then
            raise exception 'there is no task %', abort.task
                using errcode = 'RW404', hint = 'see `rework list-tasks`';
        elsif current_state not in ('delayed', 'queued', 'waiting', 'running') then
            return current_state;
        end if;
        current_state := null;
    end loop;
    insert into rework.audit (action, subject, detail)
    values ('abort', 'task ' || abort.task, json_build_object('state', current_state, 'reason', full_reason));
    if current_state = 'aborting' then
        perform pg_notify('rework', 'abort');
        return current_state;
    end if;
    if client_waits then
        perform pg_notify('rework_end', abort.task::text);
    end if;
    perform rework.follow(array[abort.task]);
    return current_state;
end $$;

-- state_of: returns the state of a task; null if there is no such task.
create function rework.state_of(task bigint) returns text
language sql stable security definer set search_path = pg_catalog, rework, pg_temp as $$
    select t.state from rework.task t where t.id = state_of.task
$$;

revoke all on function rework.abort, rework.state_of from public;
