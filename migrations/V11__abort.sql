-- abort: ask for the end of a task. What has not begun is `aborted` at once; what runs is
-- `aborting` until no process of it is left. `reason` completes the phrase `aborted …`.
-- Answers the state that the task is in afterwards; what has ended stays as it is.

create function rework.abort(task bigint, reason text default 'from SQL') returns text
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    now_in  text;
    seen    boolean;
begin
    loop
        update rework.task t
           set state = 'aborted', finished_at = clock_timestamp(), reason = 'aborted ' || abort.reason
         where t.id = abort.task and t.state in ('delayed', 'waiting', 'queued')
        returning t.watched into seen;
        if found then
            if seen then
                perform pg_notify('rework_end', abort.task::text);
            end if;
            return 'aborted';
        end if;
        update rework.task t set state = 'aborting', reason = 'aborted ' || abort.reason
         where t.id = abort.task and t.state = 'running';
        if found then
            perform pg_notify('rework', 'abort');
            return 'aborting';
        end if;
        select t.state into now_in from rework.task t where t.id = abort.task;
        if not found then
            raise exception 'there is no task %', abort.task
                using errcode = 'RW404', hint = 'see `rework list-tasks`';
        elsif now_in not in ('delayed', 'waiting', 'queued', 'running') then
            return now_in;
        end if;
        -- It moved between the statements: look again.
    end loop;
end $$;

revoke all on function rework.abort from public;
