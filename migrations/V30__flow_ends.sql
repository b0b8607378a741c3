-- flow_ends: how a flow starts and how it ends. `rework.complete` (V15) calls `make_flow` when a run has returned a plan.

-- forget_plan: deletes the plan of a task, and keeps the tasks of its steps in `past`.
create function rework.forget_plan(task bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    if not exists (select from rework.flow f where f.id = forget_plan.task) then
        return;
    end if;
    perform rework.keep_past(forget_plan.task, 0, 2147483647);
    update rework.past p set scope = null where p.flow = forget_plan.task and p.scope is not null;
    delete from rework.step s where s.flow = forget_plan.task;
    delete from rework.scope s where s.flow = forget_plan.task;
    delete from rework.flow f where f.id = forget_plan.task;
end $$;

-- insert_plan: stores a plan. One of an earlier run of the task is kept in `past`. Returns the numbers of its first steps,
-- and whether nothing but tasks can follow from it: it is simple, and has steps.
create function rework.insert_plan(task bigint, plan json, out firsts integer[], out is_plain boolean)
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    parts  record;
begin
    perform rework.forget_plan(insert_plan.task);
    select p.* into parts
      from json_to_record(plan) as p (simple boolean, returns json, remaining integer, scopes json, steps json);
    insert into rework.scope (flow, number, outer_scope, first, last, name, pattern, controller, attempts, "values",
                              values_from, operation, revert_all, provides)
    select insert_plan.task, s.number, s."outer", s.first, s.last, s.name, s.pattern, s.controller, s.attempts,
           s."values", s.values_from, s.operation, coalesce(s.revert_all, false), s.provides
      from json_to_recordset(parts.scopes)
               as s (number integer, "outer" integer, first integer, last integer, name text, pattern text,
                     controller text, attempts integer, "values" json, values_from json, operation bigint,
                     revert_all boolean, provides text);
    insert into rework.flow (id, phase, is_simple, remaining, priority, host, capabilities, returns, name)
    select t.id, 'executing', parts.simple, parts.remaining, least(t.priority + 1, 32767), t.host, t.capabilities,
           nullif(parts.returns::text, 'null')::json, parts.scopes -> 0 ->> 'name'
      from rework.task t
     where t.id = insert_plan.task;
    with inserted as (
        insert into rework.step (flow, number, name, scope, kind, operation, undo_operation, before, after, args,
                                 condition, on_failure, state, missing)
        select insert_plan.task, s.number, s.name, s.scope, s.kind, s.operation, s.undo_operation, s.before, s.after,
               nullif(s.args::text, 'null')::json, nullif(s.condition::text, 'null')::json, s.on_failure, 'pending',
               cardinality(s.before)
          from json_to_recordset(parts.steps)
                   as s (number integer, name text, scope integer, kind text, operation bigint, undo_operation bigint,
                         before integer[], after integer[], args json, condition json, on_failure text)
        returning number, missing
    )
    select coalesce(array_agg(i.number order by i.number) filter (where i.missing = 0), '{}') into firsts from inserted i;
    is_plain := parts.simple and firsts <> '{}';
end $$;

-- make_flow: makes a flow of a task, from the plan that its run has returned (crates/flow/src/plan.rs). The task is
-- `waiting`. A plan that cannot be stored lets the task fail. Its first steps start at once.
create function rework.make_flow(task bigint, plan json) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    why      text;
    stored   record;
    results  record;
begin
    begin
        select p.* into stored from rework.insert_plan(make_flow.task, make_flow.plan) as p;
        if stored.is_plain then
            select '{}'::integer[] as over, rework.make_tasks_of(make_flow.task, stored.firsts, false) as failed
              into results;
            if results.failed = '{}' then
                return;
            end if;
        else
            select o.* into results from rework.open_steps(make_flow.task, stored.firsts) as o;
        end if;
        select results.over || s.over as over, s.failed into results
          from rework.settle_failed(make_flow.task, results.failed) as s;
        perform rework.settle_flow(make_flow.task, results.over, results.failed, '{}', '{}');
        return;
    exception when others then
        if not rework.is_data_fault(sqlstate) then
            raise;
        end if;
        get stacked diagnostics why = message_text;
    end;
    update rework.task t
       set state = 'failed', finished_at = clock_timestamp(), reason = 'the flow cannot be made: ' || why,
           error = json_build_object('kind', 'plan', 'message', why)
     where t.id = make_flow.task;
    perform rework.follow(array[make_flow.task]);
end $$;

-- begin_stop: lets a flow stop without undoing anything: no step starts any more, and it ends when no task of it is left.
create function rework.begin_stop(flow bigint, ends_as text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    update rework.scope c set aim = null, remaining = null, controller_task = null
     where c.flow = begin_stop.flow and c.aim is not null;
    perform rework.withdraw(begin_stop.flow, 0, 2147483647, 'withdrawn: the flow stops', false);
    update rework.flow f
       set phase = 'stopping', ends_as = begin_stop.ends_as,
           remaining = (select count(*) from rework.step s where s.flow = f.id and s.state in ('started', 'reverting'))
     where f.id = begin_stop.flow;
    perform rework.end_flow(f.id) from rework.flow f where f.id = begin_stop.flow and f.remaining = 0;
end $$;

-- stop_flow: ends a flow at once that cannot go on. Its tasks that have not ended count for nothing.
create function rework.stop_flow(flow bigint, reason text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    perform rework.withdraw(stop_flow.flow, 0, 2147483647, 'withdrawn: the flow cannot go on', false);
    update rework.flow f
       set phase = 'stopping', ends_as = 'failed',
           failures = json_build_array(json_build_object('step', f.name, 'task', f.id, 'kind', 'flow',
                                                         'reason', stop_flow.reason))
     where f.id = stop_flow.flow;
    perform rework.end_flow(stop_flow.flow);
end $$;

-- end_flow: ends a flow and its task, by its phase: `executing`, `reverting` or `stopping`.
create function rework.end_flow(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    f           rework.flow;
    failure     json;
    failed_as   text;       -- why it failed
    not_undone  text;       -- the names of steps that a stopped flow has not undone
    followed    boolean;
begin
    update rework.flow as ended
       set ended_at = clock_timestamp(), missed = false,
           phase = case ended.phase when 'executing' then 'done' when 'reverting' then 'reverted' else 'stopped' end
     where ended.id = end_flow.flow
    returning * into f;
    failure := f.failures -> 0;
    failed_as := case when failure ->> 'kind' in ('flow', 'controller') then failure ->> 'reason'
                      when failure is not null then format('step %s: %s', failure ->> 'step', failure ->> 'reason') end;
    if f.phase = 'stopped' then
        select '; not reverted: ' || string_agg(s.name, ', ' order by s.number) filter (where s.position <= 10)
               || case when count(*) > 10 then format(' and %s more', count(*) - 10) else '' end
          into not_undone
          from (select s.name, s.number, row_number() over (order by s.number) as position
                  from rework.step s
                 where s.flow = f.id and s.undo_operation is not null
                   and s.state in ('done', 'failed', 'reverting', 'revert_failed')) as s
        having count(*) > 0;
    end if;
    update rework.task t
       set state = case when f.phase = 'done' then 'done'
                        when t.state = 'aborting' then 'aborted' else f.ends_as end,
           finished_at = greatest(clock_timestamp(), t.started_at), losses = 0,
           output = case when f.phase = 'done' then rework.step_input(f.id, f.returns) end,
           reason = case when f.phase = 'done' then null
                         when t.state = 'aborting' then t.reason || coalesce(not_undone, '')
                         else coalesce(failed_as, 'stopped') || coalesce(not_undone, '') end,
           error = case when f.phase <> 'done' and t.state <> 'aborting'
                        then json_build_object('kind', coalesce(failure ->> 'kind', 'flow'), 'message', failed_as,
                                               'failures', f.failures) end
     where t.id = f.id and t.state in ('waiting', 'aborting')
    returning t.followed or t.flow is not null into followed;
    perform pg_notify('rework_end', t.id::text) from rework.task t where t.id = f.id and t.notify_end;
    if followed then
        perform rework.follow(array[f.id]);
    end if;
end $$;

revoke all on function rework.forget_plan, rework.insert_plan, rework.make_flow, rework.begin_stop, rework.stop_flow,
    rework.end_flow from public;
