-- lock_flows: locks the flows that these ended tasks are steps of. Returns them, and those of them that are not simple,
-- do not execute steps, or have tasks here that are not done. Null if there are none.
create function rework.lock_flows(tasks bigint[], out flows bigint[], out others bigint[])
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    if cardinality(lock_flows.tasks) = 1 then
        select array[f.id],
               case when not (f.is_simple and f.phase = 'executing' and t.state || '' = 'done') then array[f.id] end
          into flows, others
          from rework.task t
          join rework.flow f on f.id = t.flow
         where t.id = lock_flows.tasks[1]
           for no key update of f;
        return;
    end if;
    select array_agg(locked.id), array_agg(locked.id) filter (where not locked.is_fast) into flows, others
      from (select f.id, f.is_simple and f.phase = 'executing' and ended.are_done as is_fast
              from (select t.flow, bool_and(t.state = 'done') as are_done
                      from unnest(lock_flows.tasks) as given (id)
                     cross join lateral (select t.flow, t.state::text from rework.task t
                                          where t.id = given.id and t.flow is not null offset 0) as t
                     group by t.flow) as ended
              join rework.flow f on f.id = ended.flow
             order by f.id desc
               for no key update of f) as locked;
end $$;

-- advance: advances all flows that these ended tasks are steps of.
--
-- The ends are never refused because of what a flow makes of them. An error of the data stops the flow (`stop_flow`),
-- and the end is recorded.
create function rework.advance(tasks bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    locked        record;
    simple_tasks  bigint[] := '{}';
    over_flows    bigint[];
    failed        bigint[];
    one           record;
begin
    select l.* into locked from rework.lock_flows(advance.tasks) as l;
    if locked.flows is null then
        return;
    end if;
    if locked.others is null then
        simple_tasks := advance.tasks;
    elsif cardinality(locked.others) < cardinality(locked.flows) then
        simple_tasks := array(select t.id from rework.task t
                               where t.id = any (advance.tasks) and t.flow <> all (locked.others));
    end if;
    if simple_tasks <> '{}' then
        begin
            if cardinality(simple_tasks) = 1 then
                select s.over_flows, s.failed into over_flows, failed from rework.forward_one(simple_tasks[1]) as s;
            else
                select s.over_flows, s.failed into over_flows, failed from rework.forward_simple(simple_tasks) as s;
            end if;
        exception when others then
            if not rework.is_data_fault(sqlstate) then
                raise;
            end if;
            -- One of the flows has caused the error. So each is handled by itself.
            locked.others := locked.flows;
        end;
    end if;
    if locked.others is not null or failed <> '{}' then
        -- After a failed round of an endless retry policy, a task is `delayed` and followed: it has not ended.
        for one in
            select t.flow, array_agg(t.id order by t.id) as ended
              from rework.task t
             where (t.id = any (advance.tasks) and t.flow = any (locked.others) or t.id = any (failed))
               and t.state || '' in ('done', 'failed', 'aborted', 'lost')
             group by t.flow
             order by t.flow desc
        loop
            perform rework.advance_or_stop(one.flow, one.ended);
        end loop;
    end if;
    if over_flows <> '{}' then
        perform rework.end_done_flows(over_flows);
    end if;
end $$;

-- advance_or_stop: advances one flow, whose row is locked, after the ends of these tasks. If that is impossible because of
-- its data, the flow stops: no step starts any more, and it ends as `failed`, `stopped`.
create function rework.advance_or_stop(flow bigint, ended bigint[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
declare
    ends  record;
    why   text;
begin
    perform from rework.flow f where f.id = advance_or_stop.flow and f.ended_at is null;
    if not found then
        return;
    end if;
    -- The ends are recorded, whatever becomes of the flow.
    begin
        select r.* into ends from rework.record_ends(advance_or_stop.flow, advance_or_stop.ended) as r;
    exception when others then
        if not rework.is_data_fault(sqlstate) then
            raise;
        end if;
        get stacked diagnostics why = message_text;
    end;
    if why is null then
        begin
            perform rework.advance_flow(advance_or_stop.flow, advance_or_stop.ended, ends);
            return;
        exception when others then
            if not rework.is_data_fault(sqlstate) then
                raise;
            end if;
            get stacked diagnostics why = message_text;
        end;
    end if;
    perform rework.stop_flow(advance_or_stop.flow, 'it cannot go on: ' || why);
end $$;

-- record_ends: records the ends of tasks in the rows of their steps. An end counts only if its step waits for this very
-- task. Returns the steps: those that are over (`done`, or `failed` if the flow continues), those that have failed, those
-- that were undone, those that could not be undone; and whether the flow stops because of a failure.
create function rework.record_ends(
    flow bigint, ended bigint[],
    out over integer[], out failed integer[], out undone integer[], out not_undone integer[], out stops boolean
)
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    with ended_task as materialized (
        select s.number, s.address, s.name, s.on_failure, s.kind, s.scope, t.id, t.state, t.reason, t.error,
               s.undo_task is not distinct from t.id as is_undo,
               -- The entry gate of a controller passes only if the controller lets it try.
               t.state = 'done' and (s.kind = 'task' or coalesce(rework.decision(t.output) = 'retry', false))
                   as is_success
          from unnest(record_ends.ended) as given (id)
         cross join lateral (select t.id, t.state::text, t.reason, t.error, t.output, t.step from rework.task t
                              where t.id = given.id and t.flow = record_ends.flow offset 0) as t
         cross join lateral (select s.ctid as address, s.* from rework.step s
                              where s.flow = record_ends.flow and s.number = t.step
                                and (s.task = t.id and s.state = 'started' or s.undo_task = t.id and s.state = 'reverting')
                             offset 0) as s
    ),
    recorded as (
        update rework.step s
           set state = case when e.is_undo and e.is_success then 'reverted'
                            when e.is_undo then 'revert_failed'
                            when e.is_success then 'done'
                            else 'failed' end
          from ended_task e
         where s.ctid = e.address
    ),
    answered as (
        update rework.scope c
           set value = rework.json_at(t.output, '{value}'), controller_task = null
          from ended_task e
         cross join lateral (select t.output from rework.task t where t.id = e.id offset 0) as t
         cross join lateral (select s.scope from rework.step s
                              where s.flow = record_ends.flow and s.number = e.number offset 0) as s
         where e.kind = 'enter' and e.is_success and c.flow = record_ends.flow and c.number = s.scope
    ),
    counted_failures as (
        update rework.flow f
           set failures = rework.with_failures(f.failures, (
                   select json_agg(rework.failure(
                                       e.name, e.id,
                                       case when e.kind = 'enter' then 'controller'
                                            else coalesce(rework.error_kind(e.error), e.state) end,
                                       case when e.kind = 'enter' then rework.controller_failure(c.name, e.reason)
                                            else coalesce(e.reason, e.state) end,
                                       e.on_failure)
                                   order by e.number)
                     from ended_task e
                     join rework.scope c on c.flow = record_ends.flow and c.number = e.scope
                    where not e.is_undo and not e.is_success))
         where f.id = record_ends.flow
           and exists (select from ended_task e where not e.is_undo and not e.is_success)
    )
    select coalesce(array_agg(e.number) filter (where not e.is_undo and (e.is_success or e.on_failure = 'continue')), '{}'),
           coalesce(array_agg(e.number) filter (where not e.is_undo and not e.is_success and e.on_failure <> 'continue'), '{}'),
           coalesce(array_agg(e.number) filter (where e.is_undo and e.is_success), '{}'),
           coalesce(array_agg(e.number) filter (where e.is_undo and not e.is_success), '{}'),
           coalesce(bool_or(not e.is_undo and not e.is_success and e.on_failure = 'stop'
                            and rework.undone_scope(record_ends.flow, e.number) is null), false)
      into over, failed, undone, not_undone, stops
      from ended_task e;
end $$;

-- advance_flow: advances one flow after the ends of these tasks, which `record_ends` has recorded as `ends`.
create function rework.advance_flow(flow bigint, ended bigint[], ends record) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    phase  text;
begin
    select f.phase into phase from rework.flow f where f.id = advance_flow.flow;
    if phase = 'stopping' then
        update rework.flow f
           set remaining = f.remaining - cardinality(ends.over) - cardinality(ends.failed)
                           - cardinality(ends.undone) - cardinality(ends.not_undone)
         where f.id = advance_flow.flow;
        perform rework.end_unfinished_flow(f.id) from rework.flow f where f.id = advance_flow.flow and f.remaining <= 0;
        return;
    end if;
    if ends.not_undone <> '{}' then
        perform rework.park_flow(advance_flow.flow);
    end if;
    if ends.stops then
        perform rework.begin_stop(advance_flow.flow, 'failed');
        return;
    end if;
    -- First, because an answer or a failure may count anew what is to be undone.
    if ends.undone <> '{}' then
        perform rework.undo_ready(advance_flow.flow, '{}', ends.undone);
    end if;
    perform rework.settle_flow(advance_flow.flow, ends.over, ends.failed,
                               rework.take_answers(advance_flow.flow, advance_flow.ended), '{}');
end $$;

-- settle_flow: does everything that can be done now, until the flow waits for tasks, or has ended. `over` are steps that
-- are over, `failed` those that have failed, `ready` those that can be undone, `undone` those that were undone.
create function rework.settle_flow(
    flow bigint, over integer[], failed integer[], ready integer[], undone integer[]
) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    passed   integer[] := settle_flow.over;
    broken   integer[] := settle_flow.failed;
    able     integer[] := settle_flow.ready;
    back     integer[] := settle_flow.undone;
    scope    record;
    results  record;
begin
    loop
        -- Steps that were undone are counted first, because a failure counts anew what is to be undone.
        if back <> '{}' then
            perform rework.undo_ready(settle_flow.flow, '{}', back);
            back := '{}';
        end if;
        if exists (select from unnest(broken) as failed (number)
                     join rework.step s on s.flow = settle_flow.flow and s.number = failed.number
                    where s.on_failure = 'stop' and rework.undone_scope(s.flow, s.number) is null) then
            perform rework.begin_stop(settle_flow.flow, 'failed');
            return;
        end if;
        -- Failures come before everything that starts steps: what is to be undone starts nothing.
        able := able || rework.undo_failures(settle_flow.flow, broken);
        broken := '{}';
        able := able || array(select n from unnest(passed) as n
                               where rework.undone_scope(settle_flow.flow, n) is not null);
        passed := array(select n from unnest(passed) as n where rework.undone_scope(settle_flow.flow, n) is null);
        if able <> '{}' then
            perform rework.undo_ready(settle_flow.flow, able, '{}');
            able := '{}';
        end if;
        if passed <> '{}' then
            select '{}'::integer[] as over, rework.pass_steps(settle_flow.flow, passed) as failed into results;
            passed := '{}';
        else
            select c.number, c.first, c.aim into scope
              from rework.scope c
             where c.flow = settle_flow.flow and c.aim in ('retry', 'revert') and c.remaining = 0
             order by c.number limit 1;
            exit when not found;
            if scope.aim = 'revert' then
                perform rework.end_unfinished_flow(settle_flow.flow);
                return;
            end if;
            perform rework.reset_scope(settle_flow.flow, scope.number);
            select o.* into results from rework.open_steps(settle_flow.flow, array[scope.first]) as o;
        end if;
        select s.over || results.over as over, s.failed into results
          from rework.settle_failed(settle_flow.flow, results.failed) as s;
        passed := passed || results.over;
        broken := results.failed;
    end loop;
    perform rework.end_done_flows(array[f.id]) from rework.flow f
      where f.id = settle_flow.flow and f.phase = 'executing' and f.remaining = 0 and f.ended_at is null;
end $$;

revoke all on function rework.lock_flows, rework.advance, rework.advance_or_stop, rework.record_ends,
    rework.advance_flow, rework.settle_flow from public;
