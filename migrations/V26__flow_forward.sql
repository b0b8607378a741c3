-- flow_forward: steps that become ready, because the steps before them are over. A step is over if it is done, if it is
-- skipped, or if it has failed and `on_failure` is `continue`.
--
-- `forward_simple` is for most ends: those of simple flows (V24) whose tasks are done. It handles the ends of all such
-- flows of a transaction together, `forward_one` a single end. `pass_steps` handles one flow, which may have gates and
-- conditions.

-- forward_simple: handles ends of tasks that are done, of steps of simple flows that are executing. The caller has
-- locked the flows. Returns the flows all of whose steps are over, and the tasks that could not be made: these have
-- failed at once.
create function rework.forward_simple(tasks bigint[], out over_flows bigint[], out failed bigint[])
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    flows    bigint[];    -- of the steps that are ready
    numbers  integer[];
begin
    with ended as (
        update rework.step s
           set state = 'done'
          from unnest(forward_simple.tasks) as given (id)
         cross join lateral (select t.id, t.flow, t.step from rework.task t
                              where t.id = given.id and t.state || '' = 'done' offset 0) as t
         cross join lateral (select s.ctid as address from rework.step s
                              where s.flow = t.flow and s.number = t.step and s.task = t.id and s.state = 'started'
                             offset 0) as found_step
         where s.ctid = found_step.address
        returning s.flow, s.after
    ),
    next_step as materialized (
        select s.address, d.flow, d.number, s.missing - d.n as missing
          from (select e.flow, next.number, count(*)::integer as n
                  from ended e
                 cross join lateral unnest(e.after) as next (number)
                 group by e.flow, next.number) as d
         cross join lateral (select s.ctid as address, s.missing from rework.step s
                              where s.flow = d.flow and s.number = d.number offset 0) as s
    ),
    counted_step as (
        update rework.step s set missing = n.missing from next_step n where s.ctid = n.address and n.missing > 0
    ),
    counted_flow as (
        update rework.flow f
           set remaining = f.remaining - last.n
          from (select e.flow, count(*)::integer as n from ended e where e.after = '{}' group by e.flow) as last
         where f.id = last.flow
        returning f.id, f.remaining
    )
    select array_agg(n.flow), array_agg(n.number), array(select c.id from counted_flow c where c.remaining = 0)
      into flows, numbers, over_flows
      from next_step n
     where n.missing = 0;
    failed := case when flows is null then '{}' else rework.make_step_tasks(flows, numbers, false) end;
end $$;

-- forward_one: does what `forward_simple` does, for one task. Small statements take half of its time if there is one only.
create function rework.forward_one(task bigint, out over_flows bigint[], out failed bigint[])
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    ended    record;
    next     integer;
    missing  integer;
    numbers  integer[] := '{}';    -- of the steps that are ready
begin
    update rework.step s
       set state = 'done'
      from rework.task t
     where t.id = forward_one.task and s.flow = t.flow and s.number = t.step and s.task = t.id and s.state = 'started'
    returning s.flow, s.after into ended;
    if ended.after = '{}' then
        update rework.flow f set remaining = f.remaining - 1 where f.id = ended.flow
        returning case when f.remaining = 0 then array[f.id] end into over_flows;
    end if;
    foreach next in array coalesce(ended.after, '{}') loop
        select s.missing into missing from rework.step s where s.flow = ended.flow and s.number = next;
        if missing = 1 then
            numbers := numbers || next;
        else
            update rework.step s set missing = s.missing - 1 where s.flow = ended.flow and s.number = next;
        end if;
    end loop;
    failed := case when numbers = '{}' then '{}'
                   else rework.make_step_tasks(array_fill(ended.flow, array[cardinality(numbers)]), numbers, false) end;
end $$;

-- pass_steps: handles steps of a flow that are over, and those that become ready because of it: gates pass at once,
-- steps whose condition is false are skipped, and tasks are made for all others. Returns the steps that failed at once.
-- Their state is `failed` or, if they have a task that could not be made, `started`.
create function rework.pass_steps(flow bigint, passed integer[]) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    over        integer[] := pass_steps.passed;
    nexts       integer[];
    counts      integer[];
    leaves      integer := 0;
    opened      integer[];
    all_failed  integer[] := '{}';
begin
    while over <> '{}' loop
        leaves := leaves + (
            select count(*)
              from unnest(over) as given (number)
             cross join lateral (select from rework.step s
                                  where s.flow = pass_steps.flow and s.number = given.number and s.after = '{}'
                                 offset 0) as last);
        select array_agg(d.number), array_agg(d.n) into nexts, counts
          from (select next.number, count(*)::integer as n
                  from unnest(over) as given (number)
                 cross join lateral (select s.after from rework.step s
                                      where s.flow = pass_steps.flow and s.number = given.number offset 0) as s
                 cross join lateral unnest(s.after) as next (number)
                 group by next.number) as d;
        with counted as (
            update rework.step s
               set missing = s.missing - d.n
              from unnest(nexts, counts) as d (number, n)
             cross join lateral (select s.ctid as address from rework.step s
                                  where s.flow = pass_steps.flow and s.number = d.number offset 0) as found_step
             where s.ctid = found_step.address
            returning s.number, s.missing, s.state
        )
        select coalesce(array_agg(c.number) filter (where c.missing = 0 and c.state = 'pending'), '{}') into opened
          from counted c;
        select o.over, all_failed || o.failed into over, all_failed
          from rework.open_steps(pass_steps.flow, opened) as o;
    end loop;
    if leaves > 0 then
        update rework.flow f set remaining = f.remaining - leaves where f.id = pass_steps.flow;
    end if;
    return all_failed;
end $$;

-- open_steps: opens steps whose predecessors are over. Returns those that are over at once, and those that failed.
create function rework.open_steps(flow bigint, numbers integer[], out over integer[], out failed integer[])
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    opened   record;
    to_make  integer[] := '{}';
begin
    over := '{}';
    failed := '{}';
    for opened in
        select s.number, s.kind, s.skip, s.condition, s.scope, c.controller
          from unnest(numbers) as given (number)
         cross join lateral (select s.* from rework.step s
                              where s.flow = open_steps.flow and s.number = given.number offset 0) as s
          left join rework.scope c on s.kind = 'enter' and c.flow = open_steps.flow and c.number = s.scope
         where s.skip or s.condition is not null or s.kind <> 'task'
         order by s.number
    loop
        if not opened.skip and opened.condition is not null
           and not rework.is_truthy(rework.first_value(open_steps.flow, opened.condition -> 'sources')) then
            perform rework.skip_after(open_steps.flow, opened.number, opened.condition ->> 'depth');
            opened.skip := true;
        end if;
        if opened.skip then
            update rework.step s set state = 'skipped' where s.flow = open_steps.flow and s.number = opened.number;
            over := over || opened.number;
        elsif opened.kind = 'exit' or opened.kind = 'enter' and opened.controller is null then
            update rework.step s set state = 'done' where s.flow = open_steps.flow and s.number = opened.number;
            over := over || opened.number;
        elsif opened.kind = 'enter' then
            case rework.enter_scope(open_steps.flow, opened.scope, opened.number)
                when 'done' then over := over || opened.number;
                when 'failed' then failed := failed || opened.number;
                else null;
            end case;
        else
            to_make := to_make || opened.number;
        end if;
    end loop;
    to_make := to_make || array(
        select s.number
          from unnest(numbers) as given (number)
         cross join lateral (select s.* from rework.step s
                              where s.flow = open_steps.flow and s.number = given.number offset 0) as s
         where s.kind = 'task' and not s.skip and s.condition is null);
    failed := failed || rework.make_tasks_of(open_steps.flow, to_make, false);
end $$;

-- skip_after: notes which steps are skipped because of a skipped step: `all` that follow it, those of its scope (`flow`),
-- the next ones (`neighbors`), or no others (`atom`). With the entry gate of a scope the whole scope is skipped. The
-- steps after the scope are those after its exit gate. None of these steps has started, because the step itself has not.
create function rework.skip_after(flow bigint, number integer, depth text) returns void
language sql set search_path = pg_catalog, rework, pg_temp as $$
    with recursive origin as materialized (
        select case when s.kind = 'enter' then c.last else s.number end as last_skipped,
               case when s.kind = 'enter' then gate.after else s.after end as after,
               coalesce(around.first, c.first) as first, coalesce(around.last, c.last) as last,
               coalesce(around.number, c.number) as scope
          from rework.step s
          join rework.scope c on c.flow = s.flow and c.number = s.scope
          left join rework.scope around on s.kind = 'enter' and around.flow = s.flow and around.number = c.outer_scope
          left join rework.step gate on s.kind = 'enter' and gate.flow = s.flow and gate.number = c.last
         where s.flow = skip_after.flow and s.number = skip_after.number
    ),
    following (number) as (
        select unnest(origin.after) from origin where skip_after.depth <> 'atom'
        union
        select next.number
          from following
          join rework.step s on s.flow = skip_after.flow and s.number = following.number
         cross join lateral unnest(s.after) as next (number)
         where skip_after.depth <> 'neighbors'
    )
    update rework.step s
       set skip = true
      from origin
     where s.flow = skip_after.flow
       and (s.number > skip_after.number and s.number <= origin.last_skipped
            or skip_after.depth = 'neighbors'
               and exists (select from rework.scope n
                            where n.flow = skip_after.flow and s.number between n.first and n.last
                              and n.first in (select following.number from following))
            or s.number in (select following.number from following)
               and (skip_after.depth <> 'flow'
                    or s.number between origin.first and origin.last
                       and not (s.kind = 'exit' and s.scope = origin.scope)))
$$;

-- enter_scope: lets the controller of a scope give its value for this round, and returns what becomes of the entry gate:
-- `done`, `failed`, or `started` if the controller is an operation that has yet to answer.
create function rework.enter_scope(flow bigint, scope integer, gate integer) returns text
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    c        rework.scope;
    listed   json;
    why      text;
    decider  record;
begin
    select s.* into c from rework.scope s where s.flow = enter_scope.flow and s.number = enter_scope.scope;
    if c.controller = 'operation' and c.value is null then
        select * into decider from rework.request_decision(enter_scope.flow, enter_scope.scope, enter_scope.gate);
        update rework.step s set state = 'started', task = decider.task
         where s.flow = enter_scope.flow and s.number = enter_scope.gate;
        return case when decider.has_failed then 'failed' else 'started' end;
    elsif c.controller in ('for_each', 'for_each_of') then
        listed := case when c.controller = 'for_each' or c.round > 1 then c."values"
                       else rework.first_value(enter_scope.flow, c.values_from) end;
        why := case when listed is null or json_typeof(listed) <> 'array' then
                        format('the values of `%s` are not a list', c.name)
                    when json_array_length(listed) = 0 then format('the list of values of `%s` is empty', c.name) end;
        if why is not null then
            perform rework.fail_gate(enter_scope.flow, enter_scope.gate, why);
            return 'failed';
        end if;
    end if;
    update rework.scope s
       set "values" = coalesce(listed, s."values"),
           value = case when s.controller = 'times' then to_json(s.round)
                        when listed is not null then rework.json_at(listed, array[(s.round - 1)::text])
                        else s.value end
     where s.flow = enter_scope.flow and s.number = enter_scope.scope;
    update rework.step s set state = 'done' where s.flow = enter_scope.flow and s.number = enter_scope.gate;
    return 'done';
end $$;

-- failure: returns why a step failed, as it is stored.
create function rework.failure(step text, task bigint, kind text, reason text, on_failure text) returns json
language sql immutable as $$
    select json_build_object('step', failure.step, 'task', failure.task, 'kind', failure.kind, 'reason', failure.reason,
                             'continued', failure.on_failure = 'continue')
$$;

-- with_failures: returns the failures of a flow with some more, the first 20 of them. The first one is why the flow fails:
-- those in spite of which the flow continues come last.
create function rework.with_failures(failures json, more json) returns json
language sql immutable as $$
    select coalesce(json_agg(first.f order by first.number), '[]')
      from (select listed.f, row_number() over (order by coalesce((listed.f ->> 'continued')::boolean, false),
                                                         listed.number) as number
              from (select l.f, l.number
                      from json_array_elements(with_failures.failures) with ordinality as l (f, number)
                    union all
                    select l.f, 100 + l.number
                      from json_array_elements(with_failures.more) with ordinality as l (f, number)) as listed
             order by number
             limit 20) as first
$$;

-- fail_gate: records that the entry gate of a scope has failed, and why.
create function rework.fail_gate(flow bigint, gate integer, reason text) returns void
language sql set search_path = pg_catalog, rework, pg_temp as $$
    update rework.step s set state = 'failed' where s.flow = fail_gate.flow and s.number = fail_gate.gate;
    update rework.flow f
       set failures = rework.with_failures(
               f.failures, json_build_array(rework.failure(s.name, null, 'controller', fail_gate.reason, s.on_failure)))
      from rework.step s
     where f.id = fail_gate.flow and s.flow = f.id and s.number = fail_gate.gate
$$;

revoke all on function rework.forward_simple, rework.forward_one, rework.pass_steps, rework.open_steps, rework.skip_after,
    rework.enter_scope, rework.failure, rework.with_failures, rework.fail_gate from public;
