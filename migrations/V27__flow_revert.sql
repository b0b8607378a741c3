-- scope_to_undo: returns which scope is undone after a failure in a scope, and with which aim.
create function rework.scope_to_undo(flow bigint, failed_in integer, out scope integer, out aim text)
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    c      rework.scope;
    rounds integer;     -- number of rounds that the controller allows
begin
    scope := failed_in;
    loop
        select s.* into c from rework.scope s where s.flow = scope_to_undo.flow and s.number = scope;
        exit when not found;
        rounds := case c.controller when 'times' then c.attempts
                                    when 'for_each' then json_array_length(c."values")
                                    when 'for_each_of' then json_array_length(c."values") end;
        if c.controller = 'operation' or c.round < rounds then
            aim := case c.controller when 'operation' then 'answer' else 'retry' end;
            return;
        end if;
        exit when c.outer_scope is null or c.controller = 'always_revert_all' or rounds is not null and c.revert_all;
        scope := c.outer_scope;
    end loop;
    scope := 0;
    aim := 'revert';
end $$;

-- withdraw: withdraws the tasks of started steps from `first` to `last` that no worker has. A step whose task never ran
-- becomes `pending` or, if it is counted among those to be undone already (`is_late`), `skipped`. A step whose task ran
-- before, and waited for another attempt, becomes `failed`. Returns these steps. Tasks that another transaction has
-- locked are left to the next poll.
create function rework.withdraw(flow bigint, first integer, last integer, reason text, is_late boolean)
returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    tasks    bigint[];
    missed   boolean;
    changed  integer[];
begin
    with started as materialized (
        select s.task
          from rework.step s
         where s.flow = withdraw.flow and s.number between withdraw.first and withdraw.last and s.state = 'started'
    ),
    idle as (
        select t.id
          from started
         cross join lateral (select t.id from rework.task t
                              where t.id = started.task and t.state || '' in ('queued', 'delayed', 'waiting')
                                for no key update skip locked) as t
    )
    select array(select id from idle order by id),
           exists (select from started
                    cross join lateral (select t.id from rework.task t
                                         where t.id = started.task and t.state || '' in ('queued', 'delayed', 'waiting')
                                        offset 0) as t
                    where t.id not in (select id from idle))
      into tasks, missed;
    if missed then
        update rework.flow f set missed = true where f.id = withdraw.flow and not f.missed;
    end if;
    if tasks = '{}' then
        return '{}';
    end if;
    with ended as (
        update rework.task t set state = 'aborted', finished_at = clock_timestamp(), reason = withdraw.reason
         where t.id = any (tasks)
        returning t.id, t.step, t.run, case when t.notify_end then pg_notify('rework_end', t.id::text)::text end
    ),
    kept as (
        insert into rework.past (flow, step, scope, round, state, task)
        select s.flow, s.name, s.scope, c.round, 'withdrawn', e.id
          from ended e
          join rework.step s on s.flow = withdraw.flow and s.number = e.step
          join rework.scope c on c.flow = s.flow and c.number = s.scope
         where e.run = 0
    ),
    changed_step as (
        update rework.step s
           set state = case when e.run > 0 then 'failed' when withdraw.is_late then 'skipped' else 'pending' end,
               task = case when e.run > 0 then s.task end
          from ended e
         where s.flow = withdraw.flow and s.number = e.step
        returning s.number
    )
    select array_agg(number) into changed from changed_step;
    perform rework.release(tasks, true);
    return changed;
end $$;

-- withdraw_decisions: withdraws the tasks of controllers of scopes within the steps from `first` to `last` that no worker
-- has. Their answers do not count any more.
create function rework.withdraw_decisions(flow bigint, first integer, last integer, reason text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
declare
    tasks  bigint[];
begin
    tasks := array(
        select t.id
          from rework.scope c
         cross join lateral (select t.id from rework.task t
                              where t.id = c.controller_task and t.state || '' in ('queued', 'delayed', 'waiting')
                                for no key update skip locked) as t
         where c.flow = withdraw_decisions.flow and c.controller_task is not null
           and c.first >= withdraw_decisions.first and c.last <= withdraw_decisions.last
         order by t.id);
    if tasks <> '{}' then
        update rework.task t
           set state = 'aborted', finished_at = clock_timestamp(), reason = withdraw_decisions.reason
         where t.id = any (tasks);
        perform rework.release(tasks, true);
    end if;
end $$;

-- begin_undo: lets a scope be undone, with everything in it that has started. Returns the steps that can be undone now.
-- The function reads the whole scope, so hash joins are better than nested loops here.
create function rework.begin_undo(flow bigint, scope integer, aim text, reason text) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_hashjoin = on set enable_nestloop = off set enable_sort = on set jit = off as $$
#variable_conflict use_column
declare
    c         rework.scope;
    total     integer;
    undoable  integer[];
begin
    select s.* into c from rework.scope s where s.flow = begin_undo.flow and s.number = begin_undo.scope;
    perform rework.withdraw_decisions(begin_undo.flow, c.first, c.last, begin_undo.reason);
    update rework.scope s set aim = null, remaining = null, controller_task = null
     where s.flow = begin_undo.flow and s.number > c.number and s.first >= c.first and s.last <= c.last
       and s.aim is not null;
    perform rework.withdraw(begin_undo.flow, c.first, c.last, begin_undo.reason, false);
    with touched as materialized (
        select s.number, s.before
          from rework.step s
         where s.flow = begin_undo.flow and s.number between c.first and c.last
           and s.state not in ('pending', 'reverted')
    ),
    counts as materialized (
        select b.number, count(*)::integer as n
          from touched cross join lateral unnest(touched.before) as b (number)
         where b.number >= c.first
         group by b.number
    ),
    counted as (
        update rework.step s
           set missing = coalesce(n.n, 0)
          from (select t.number, counts.n from touched t left join counts on counts.number = t.number) as n
         where s.flow = begin_undo.flow and s.number between c.first and c.last and s.number = n.number
        returning s.number, s.missing, s.state
    )
    select count(*), coalesce(array_agg(number) filter (where missing = 0 and state in ('done', 'failed', 'skipped')), '{}')
      into total, undoable
      from counted;
    update rework.scope s
       set aim = begin_undo.aim, remaining = total,
           history = case when begin_undo.aim = 'answer'
                          then rework.with_round(s.history, s.value, f.failures, begin_undo.flow, c.first, c.last)
                          else s.history end
      from rework.flow f
     where s.flow = begin_undo.flow and s.number = c.number and f.id = s.flow;
    return undoable;
end $$;

-- undo_steps: undoes steps of a scope that has an aim. `ready` are the steps that can be undone now, `undone` those whose
-- tasks have undone them. Returns the steps whose tasks could not be made.
create function rework.undo_steps(flow bigint, scope integer, ready integer[], undone integer[]) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    able        integer[] := ready;
    over        integer[] := undone;
    first       integer;
    more        integer[];
    with_task   integer[];
    total       integer := 0;
    failed      integer[] := '{}';
begin
    select s.first into first from rework.scope s where s.flow = undo_steps.flow and s.number = undo_steps.scope;
    while able <> '{}' or over <> '{}' loop
        if over <> '{}' then
            total := total + cardinality(over);
            with decrements as materialized (
                select b.number, count(*)::integer as n
                  from unnest(over) as given (number)
                 cross join lateral (select s.before from rework.step s
                                      where s.flow = undo_steps.flow and s.number = given.number offset 0) as s
                 cross join lateral unnest(s.before) as b (number)
                 where b.number >= first
                 group by b.number
            ),
            lowered as (
                update rework.step s
                   set missing = s.missing - d.n
                  from decrements d
                 cross join lateral (select s.ctid as address from rework.step s
                                      where s.flow = undo_steps.flow and s.number = d.number offset 0) as found_step
                 where s.ctid = found_step.address
                returning s.number, s.missing, s.state
            )
            select coalesce(array_agg(number)
                                filter (where missing = 0 and state in ('done', 'failed', 'skipped')), '{}')
              into more
              from lowered;
            able := able || more;
        end if;
        with candidate as materialized (
            select s.number, s.address, s.undo_operation is not null and s.state <> 'skipped'
                   and (s.state <> 'failed' or rework.has_started(s.task)) as has_task
              from (select distinct number from unnest(able) as given (number)) as given
             cross join lateral (select s.ctid as address, s.* from rework.step s
                                  where s.flow = undo_steps.flow and s.number = given.number offset 0) as s
             where s.missing = 0 and s.state in ('done', 'failed', 'skipped')
        ),
        plain as (
            update rework.step s set state = 'reverted'
              from candidate
             where s.ctid = candidate.address and not candidate.has_task
            returning s.number
        )
        select array(select number from candidate where has_task order by number desc),
               array(select number from plain)
          into with_task, over;
        able := '{}';
        failed := failed || rework.make_tasks_of(undo_steps.flow, with_task, true);
    end loop;
    update rework.scope s set remaining = s.remaining - total
     where s.flow = undo_steps.flow and s.number = undo_steps.scope and total > 0;
    return failed;
end $$;

-- keep_past: keeps the tasks of the steps from `first` to `last` for people.
create function rework.keep_past(flow bigint, first integer, last integer) returns void
language sql set search_path = pg_catalog, rework, pg_temp as $$
    insert into rework.past (flow, step, scope, round, state, task, undo_task)
    select s.flow, s.name, s.scope, c.round, s.state, s.task, s.undo_task
      from rework.step s
      join rework.scope c on c.flow = s.flow and c.number = s.scope
     where s.flow = keep_past.flow and s.number between keep_past.first and keep_past.last
       and s.task is not null
     order by s.number
$$;

-- renew_skips: decides again which pending steps will be skipped, after conditions of other steps count no more.
create function rework.renew_skips(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    skipper  record;
begin
    if not exists (select from rework.step s where s.flow = renew_skips.flow and s.condition is not null) then
        return;
    end if;
    update rework.step s set skip = false
     where s.flow = renew_skips.flow and s.skip and s.state = 'pending';
    for skipper in
        select s.number, s.condition ->> 'depth' as depth
          from rework.step s
         where s.flow = renew_skips.flow and s.state = 'skipped' and not s.skip and s.condition is not null
    loop
        perform rework.skip_after(renew_skips.flow, skipper.number, skipper.depth);
    end loop;
end $$;

-- reset_scope: makes a scope ready for its next round, after everything in it was undone. The tasks of the last round
-- are kept in `past`. The caller then opens its first step.
create function rework.reset_scope(flow bigint, scope integer) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    c  rework.scope;
begin
    select s.* into c from rework.scope s where s.flow = reset_scope.flow and s.number = reset_scope.scope;
    perform rework.keep_past(reset_scope.flow, c.first, c.last);
    update rework.step s
       set state = 'pending', task = null, undo_task = null, skip = false,
           missing = case when s.number = c.first then 0 else cardinality(s.before) end
     where s.flow = c.flow and s.number between c.first and c.last;
    perform rework.renew_skips(c.flow);
    update rework.scope s
       set round = 1, value = null, history = '[]', aim = null, remaining = null, controller_task = null
     where s.flow = c.flow and s.number > c.number and s.first >= c.first and s.last <= c.last;
    update rework.scope s
       set round = s.round + 1, aim = null, remaining = null, controller_task = null
     where s.flow = c.flow and s.number = c.number;
    update rework.flow f
       set failures = (select coalesce(json_agg(listed.f order by listed.number), '[]')
                         from json_array_elements(f.failures) with ordinality as listed (f, number)
                        where not exists (select from rework.step s
                                           where s.flow = f.id and s.name = listed.f ->> 'step'
                                             and s.number between c.first and c.last)),
           remaining = (select count(*) from rework.step s
                         where s.flow = f.id and s.after = '{}'
                           and s.state not in ('done', 'skipped')
                           and not (s.state = 'failed' and s.on_failure = 'continue'))
     where f.id = c.flow;
end $$;

revoke all on function rework.scope_to_undo, rework.withdraw, rework.withdraw_decisions, rework.begin_undo,
    rework.undo_steps, rework.keep_past, rework.renew_skips, rework.reset_scope from public;
