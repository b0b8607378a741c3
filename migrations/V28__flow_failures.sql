-- flow_failures: what a failure of a step, a failure of a revert, and the answer of a controller mean for a flow.

-- undone_scope: returns the scope that is being undone and contains a step; null if there is none.
create function rework.undone_scope(flow bigint, number integer) returns integer
language sql stable as $$
    select c.number
      from rework.scope c
     where c.flow = undone_scope.flow and c.aim is not null and undone_scope.number between c.first and c.last
     limit 1
$$;

-- start_undo: lets a scope be undone. Returns the steps that can be undone now.
create function rework.start_undo(flow bigint, scope integer, aim text) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    ready    integer[];
    why      text;
    gate     integer;
    decider  record;
begin
    select format('withdrawn: step %s failed', f.failures -> -1 ->> 'step') into why
      from rework.flow f where f.id = start_undo.flow;
    ready := rework.begin_undo(start_undo.flow, start_undo.scope, start_undo.aim, coalesce(why, 'withdrawn'));
    if start_undo.aim = 'revert' then
        update rework.flow f
           set phase = case when f.phase = 'executing' then 'reverting' else f.phase end,
               ends_as = coalesce(f.ends_as, 'failed')
         where f.id = start_undo.flow;
    elsif start_undo.aim = 'answer' then
        select c.first into gate from rework.scope c
         where c.flow = start_undo.flow and c.number = start_undo.scope;
        select * into decider from rework.request_decision(start_undo.flow, start_undo.scope, gate);
        update rework.scope c set controller_task = decider.task
         where c.flow = start_undo.flow and c.number = start_undo.scope;
        insert into rework.past (flow, step, scope, round, state, task)
        select c.flow, c.name, c.number, c.round, 'decided', decider.task
          from rework.scope c
         where c.flow = start_undo.flow and c.number = start_undo.scope;
        if decider.has_failed then
            ready := ready || rework.take_answers(start_undo.flow, array[decider.task]);
        end if;
    end if;
    return ready;
end $$;

-- with_round: returns the history of a scope with one more round, of at most 1000.
create function rework.with_round(
    history json, value json, failures json, flow bigint, first integer, last integer
) returns json
language sql stable as $$
    select json_agg(r.entry order by r.number)
      from (select listed.entry, listed.number
              from json_array_elements(with_round.history) with ordinality as listed (entry, number)
             where listed.number > json_array_length(with_round.history) - 999
            union all
            select json_build_object(
                       'value', with_round.value,
                       'failures', rework.failure_reasons((
                           select coalesce(json_agg(f), '[]')
                             from json_array_elements(with_round.failures) as f
                             join rework.step s on s.flow = with_round.flow and s.name = f ->> 'step'
                            where s.number between with_round.first and with_round.last))),
                   1001) as r (entry, number)
$$;

-- decision: returns what the output of a controller's task says: `retry`, `revert` or `revert_all`; null if it says
-- nothing that can be understood.
create function rework.decision(output json) returns text
language plpgsql immutable set search_path = pg_catalog, rework, pg_temp as $$
declare
    word  text;
begin
    if json_typeof(output) = 'object' then
        word := trim('"' from rework.json_at(output, '{decision}')::text);
    end if;
    return case when word in ('retry', 'revert', 'revert_all') then word end;
exception when data_exception then
    return null;    -- JSON of which Postgres can read no part
end $$;

-- take_answers: handles the answers of controllers that were requested after a failure. `retry` lets the scope be tried
-- again with a new value. After any other answer, or none, the controllers around it decide. Returns the steps that can
-- be undone because of that.
create function rework.take_answers(flow bigint, ended bigint[]) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    answer  record;
    target  integer;
    aim     text;
    ready   integer[] := '{}';
begin
    for answer in
        select c.number, c.outer_scope, t.state = 'done' and rework.decision(t.output) = 'retry' as is_retry,
               rework.decision(t.output) = 'revert_all' as is_for_all,
               case when rework.decision(t.output) is not null then rework.json_at(t.output, '{value}') end as value
          from rework.scope c
         cross join lateral (select t.state::text, t.output from rework.task t
                              where t.id = c.controller_task offset 0) as t
         where c.flow = take_answers.flow and c.aim = 'answer' and c.controller_task = any (take_answers.ended)
         order by c.number desc
    loop
        -- Another answer may have widened the undo to a scope around this one.
        continue when not exists (select from rework.scope c
                                   where c.flow = take_answers.flow and c.number = answer.number and c.aim = 'answer');
        if answer.is_retry then
            update rework.scope c set aim = 'retry', controller_task = null, value = coalesce(answer.value, 'null')
             where c.flow = take_answers.flow and c.number = answer.number;
            continue;
        end if;
        target := 0;
        aim := 'revert';
        if answer.outer_scope is not null and answer.is_for_all is not true then
            select u.scope, u.aim into target, aim
              from rework.scope_to_undo(take_answers.flow, answer.outer_scope) as u;
        end if;
        ready := ready || rework.start_undo(take_answers.flow, target, aim);
    end loop;
    return ready;
end $$;

-- controller_failure: returns why a pattern of this name cannot start, from the reason why the task of its controller
-- failed; null if that has given an answer.
create function rework.controller_failure(pattern text, reason text) returns text
language sql immutable as $$
    select format('the controller of `%s` ', controller_failure.pattern)
           || coalesce('failed: ' || controller_failure.reason, 'does not let it start')
$$;

-- settle_failed: records the failure of steps whose tasks could not be made. Returns those after which the flow
-- continues, and the others, with the entry gates that have failed.
create function rework.settle_failed(flow bigint, numbers integer[], out over integer[], out failed integer[])
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    with failed_step as materialized (
        select s.number, s.address, s.name, s.state, s.on_failure, s.task, t.reason
          from unnest(settle_failed.numbers) as given (number)
         cross join lateral (select s.ctid as address, s.* from rework.step s
                              where s.flow = settle_failed.flow and s.number = given.number offset 0) as s
          left join lateral (select t.reason from rework.task t where t.id = s.task offset 0) as t on true
    ),
    recorded as (
        update rework.step s set state = 'failed' from failed_step f where s.ctid = f.address and f.state = 'started'
    ),
    counted_failures as (
        update rework.flow f
           set failures = rework.with_failures(f.failures, (
                   select json_agg(rework.failure(s.name, s.task, 'refused', s.reason, s.on_failure) order by s.number)
                     from failed_step s where s.state = 'started'))
         where f.id = settle_failed.flow and exists (select from failed_step s where s.state = 'started')
    )
    select coalesce(array_agg(s.number order by s.number) filter (where s.on_failure = 'continue'), '{}'),
           coalesce(array_agg(s.number order by s.number) filter (where s.on_failure <> 'continue'), '{}')
      into over, failed
      from failed_step s;
end $$;

-- undo_failures: decides about steps that have failed. A step that is being undone anyway can be undone now; for the
-- others a scope is undone. Returns the steps that can be undone.
create function rework.undo_failures(flow bigint, failed integer[]) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    one     record;
    target  record;
    ready   integer[] := '{}';
begin
    for one in
        select s.number, case when s.kind = 'enter' then c.outer_scope else s.scope end as failed_in
          from unnest(undo_failures.failed) as given (number)
         cross join lateral (select s.* from rework.step s
                              where s.flow = undo_failures.flow and s.number = given.number offset 0) as s
          join rework.scope c on c.flow = s.flow and c.number = s.scope
         order by s.number
    loop
        if rework.undone_scope(undo_failures.flow, one.number) is null then
            select u.scope, u.aim into target from rework.scope_to_undo(undo_failures.flow, one.failed_in) as u;
            ready := ready || rework.start_undo(undo_failures.flow, target.scope, target.aim);
        end if;
        ready := ready || one.number;
    end loop;
    return ready;
end $$;

-- park_flow: records that a step could not be undone. What else can be undone goes on. The flow waits for somebody who
-- retries or aborts it. Clients that wait for its end are notified.
create function rework.park_flow(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    update rework.flow f set phase = 'revert_failed' where f.id = park_flow.flow;
    update rework.task t
       set reason = case when t.state = 'aborting' then split_part(t.reason, '; revert of ', 1) || '; ' else '' end
                    || format('revert of %s failed: %s', parked.name, coalesce(parked.reason, parked.state))
      from (select s.name, u.reason, u.state::text
              from rework.step s
              join rework.task u on u.id = s.undo_task
             where s.flow = park_flow.flow and s.state = 'revert_failed'
             order by s.number desc limit 1) as parked
     where t.id = park_flow.flow and t.state in ('waiting', 'aborting');
    perform pg_notify('rework_end', t.id::text) from rework.task t where t.id = park_flow.flow and t.notify_end;
end $$;

-- undo_ready: undoes steps of all scopes that are being undone, whatever scopes they are in. The flow is parked if a
-- step cannot be undone.
create function rework.undo_ready(flow bigint, ready integer[], undone integer[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    c           record;
    of_scope    integer[];
    not_undone  integer[];
begin
    for c in
        select s.number, s.first, s.last from rework.scope s
         where s.flow = undo_ready.flow and s.aim is not null order by s.number
    loop
        of_scope := array(select n from unnest(undo_ready.ready) as n where n between c.first and c.last);
        not_undone := rework.undo_steps(
            undo_ready.flow, c.number, of_scope,
            array(select n from unnest(undo_ready.undone) as n where n between c.first and c.last));
        if not_undone <> '{}' then
            update rework.step s set state = 'revert_failed'
             where s.flow = undo_ready.flow and s.number = any (not_undone);
            perform rework.park_flow(undo_ready.flow);
        end if;
    end loop;
end $$;

revoke all on function rework.undone_scope, rework.start_undo, rework.with_round, rework.decision, rework.take_answers,
    rework.controller_failure, rework.settle_failed, rework.undo_failures, rework.park_flow, rework.undo_ready from public;
