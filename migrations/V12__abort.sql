-- abort: ask for the end of a task. What has not begun is `aborted` at once; what runs is
-- `aborting` until no process of it is left. `reason` completes the phrase `aborted …`.
-- Returns the state that the task is in afterwards; a task that has ended stays as it is.
--
-- A running task is reached like this: the monitor finds it by `rework.tick` (monitor/src/state/poll.rs) and tells its worker
-- (worker/src/life.rs), which stops the run (worker/src/run_loop/abort.rs) and records its end (worker/src/verdict.rs).

create function rework.abort(task bigint, reason text default 'from SQL') returns text
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    words   text := 'aborted ' || coalesce(abort.reason, 'from SQL');
    found   text;
    seen    boolean;
begin
    loop
        update rework.task t set state = 'aborted', finished_at = clock_timestamp(), reason = words
         where t.id = abort.task and t.state in ('delayed', 'queued')
        returning t.state, t.watched into found, seen;
        exit when found is not null;
        update rework.task t set state = 'aborting', reason = words
         where t.id = abort.task and t.state = 'running'
        returning t.state into found;
        exit when found is not null;
        select t.state into found from rework.task t where t.id = abort.task;
        if found is null then
            raise exception 'there is no task %', abort.task
                using errcode = 'RW404', hint = 'see `rework list-tasks`';
        elsif found not in ('delayed', 'queued', 'running') then
            return found;
        end if;
        -- It moved between the statements: look again.
        found := null;
    end loop;
    insert into rework.audit (action, subject, detail)
    values ('abort', 'task ' || abort.task, json_build_object('state', found, 'reason', words));
    if found = 'aborting' then
        perform pg_notify('rework', 'abort');
    elsif seen then
        perform pg_notify('rework_end', abort.task::text);
    end if;
    return found;
end $$;

-- The state of a task; null: there is none.
create function rework.state_of(task bigint) returns text
language sql stable security definer set search_path = pg_catalog, rework, pg_temp as $$
    select t.state from rework.task t where t.id = state_of.task
$$;

revoke all on function rework.abort, rework.state_of from public;
