-- flow_retry: how a flow goes on that is parked or has ended, and what becomes of steps that nobody can run any more.

-- retry_reverts: reverts again the steps whose reverts failed, or with `is_manual` lets them count as reverted.
create function rework.retry_reverts(flow bigint, failed integer[], is_manual boolean) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    undone  integer[] := '{}';
begin
    insert into rework.past (flow, step, scope, round, state, undo_task)
    select s.flow, s.name, s.scope, c.round, s.state, s.undo_task
      from rework.step s
      join rework.scope c on c.flow = s.flow and c.number = s.scope
     where s.flow = retry_reverts.flow and s.number = any (retry_reverts.failed) and not retry_reverts.is_manual;
    update rework.step s
       set state = case when retry_reverts.is_manual then 'reverted'
                        when t.state = 'done' then 'done' else 'failed' end,
           missing = 0
      from rework.task t
     where s.flow = retry_reverts.flow and s.number = any (retry_reverts.failed) and t.id = s.task;
    if retry_reverts.is_manual then
        undone := retry_reverts.failed;
    end if;
    update rework.flow f
       set phase = case when exists (select from rework.step s where s.flow = f.id and s.state = 'revert_failed')
                        then 'revert_failed'
                        when exists (select from rework.scope c where c.flow = f.id and c.number = 0 and c.aim = 'revert')
                        then 'reverting' else 'executing' end
     where f.id = retry_reverts.flow;
    update rework.task t
       set reason = case when t.state = 'aborting' then split_part(t.reason, '; revert of ', 1) end
      from rework.flow f
     where t.id = retry_reverts.flow and f.id = t.id and f.phase <> 'revert_failed';
    perform rework.settle_flow(retry_reverts.flow, '{}', '{}',
                               case when retry_reverts.is_manual then '{}' else retry_reverts.failed end, undone);
end $$;

-- resume_stopped: lets a stopped flow go on: its failed steps are executed again, and so are those that were withdrawn,
-- and those whose reverts were stopped, have failed or have succeeded.
create function rework.resume_stopped(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    results  record;
begin
    insert into rework.past (flow, step, round, state, task, undo_task)
    select s.flow, s.name, c.round, s.state, s.task, s.undo_task
      from rework.step s
      join rework.scope c on c.flow = s.flow and c.number = s.scope
     where s.flow = resume_stopped.flow and s.task is not null and s.state not in ('pending', 'done', 'skipped')
       and not (s.state = 'failed' and s.on_failure = 'continue')
     order by s.number;
    update rework.step s
       set state = 'pending', task = null, undo_task = null,
           missing = (select count(*) from rework.step b
                       where b.flow = s.flow and b.number = any (s.before)
                         and b.state not in ('done', 'skipped')
                         and not (b.state = 'failed' and b.on_failure = 'continue'))
     where s.flow = resume_stopped.flow
       and s.state not in ('done', 'skipped') and not (s.state = 'failed' and s.on_failure = 'continue');
    perform rework.renew_skips(resume_stopped.flow);
    update rework.flow f
       set phase = 'executing', ends_as = null, ended_at = null, failures = '[]', is_simple = false,
           remaining = (select count(*) from rework.step s
                         where s.flow = f.id and s.after = '{}' and s.state not in ('done', 'skipped')
                           and not (s.state = 'failed' and s.on_failure = 'continue'))
     where f.id = resume_stopped.flow;
    update rework.scope c set aim = null, remaining = null, controller_task = null
     where c.flow = resume_stopped.flow and c.aim is not null;
    -- The former end is kept, and what follows gets a new run number: each run has followers of its own.
    insert into rework.run (task, run, attempt, token, worker, host, revision, outcome, reason, error, memory_peak,
                            started_at, finished_at)
    select t.id, t.run, t.attempt, t.token, t.worker, t.ran_on, t.revision, t.state, t.reason, t.error, t.memory_peak,
           t.started_at, t.finished_at
      from rework.task t
     where t.id = resume_stopped.flow and t.token is not null
    on conflict (task, run) do nothing;
    update rework.task t
       set state = 'waiting', run = t.run + 1, finished_at = null, reason = null, error = null, output = null
     where t.id = resume_stopped.flow;
    select o.* into results
      from rework.open_steps(resume_stopped.flow, array(
            select s.number from rework.step s
             where s.flow = resume_stopped.flow and s.state = 'pending' and s.missing = 0 order by s.number)) as o;
    select results.over || s.over as over, s.failed into results
      from rework.settle_failed(resume_stopped.flow, results.failed) as s;
    perform rework.settle_flow(resume_stopped.flow, results.over, results.failed, '{}', '{}');
end $$;

-- plan_again: queues the task of a flow that has ended, so that it makes a new plan.
create function rework.plan_again(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    domain  text;
    gone    text;
begin
    select o.name into gone
      from rework.task t join rework.operation o on o.id = t.operation
     where t.id = plan_again.flow and o.unregistered_at is not null;
    if gone is not null then
        raise exception 'the operation `%` of flow % is not registered any more', gone, plan_again.flow
            using errcode = 'RW400', hint = 'register it again, or schedule a new flow';
    end if;
    perform rework.forget_plan(plan_again.flow);
    update rework.task t
       set state = 'queued', lane = rework.lane_for(o, t.host, t.capabilities), attempt = 0, losses = 0,
           position = nextval('rework.position'), delayed_until = null, started_at = null, finished_at = null,
           reason = null, error = null, output = null, output_bytes = null, progress = null, memory_peak = null,
           revision = null, awaits = 0
      from rework.operation o
     where t.id = plan_again.flow and o.id = t.operation
    returning o.domain into domain;
    perform rework.notify_ready(domain);
end $$;

-- retry_flow: goes on with a flow that is parked or has ended without success. Returns what it does, for people.
--   parked             the reverts that failed are tried again; `reverted` is a step that somebody has reverted by hand
--   stopped            the steps that failed start again, and the flow goes on
--   reverted, or it    the task is queued, and makes a new plan
--   has no plan
-- Raises RW404 if there is no such flow or step, and RW400 if the flow can do nothing.
create function rework.retry_flow(flow bigint, reverted text default null) returns text
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off set enable_sort = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    f       rework.flow;
    undone  integer[];
    failed  integer[];
begin
    select * into f from rework.flow as locked where locked.id = retry_flow.flow for no key update;
    if not found then
        raise exception 'there is no flow %', retry_flow.flow
            using errcode = 'RW404', hint = 'see `rework list-flows`';
    end if;
    if retry_flow.reverted is not null or f.phase = 'revert_failed' then
        if f.phase <> 'revert_failed' then
            raise exception 'flow % has no step whose revert failed', retry_flow.flow
                using errcode = 'RW400', hint = format('see `rework show-task %s`', retry_flow.flow);
        end if;
        failed := array(select s.number from rework.step s
                         where s.flow = f.id and s.state = 'revert_failed'
                           and s.name = coalesce(retry_flow.reverted, s.name) order by s.number desc);
        if failed = '{}' then
            raise exception 'flow % has no step `%` whose revert failed', retry_flow.flow, retry_flow.reverted
                using errcode = 'RW404', hint = format('see `rework show-task %s`', retry_flow.flow);
        end if;
        perform rework.retry_reverts(f.id, failed, retry_flow.reverted is not null);
        insert into rework.audit (action, subject, detail)
        values ('retry', 'task ' || f.id, json_build_object('reverted', retry_flow.reverted, 'phase', f.phase));
        return case when retry_flow.reverted is not null then format('step %s counts as reverted', retry_flow.reverted)
                    else 'its reverts are tried again' end;
    elsif f.phase not in ('stopped', 'reverted') then
        raise exception 'flow % is not retried: its phase is `%`', retry_flow.flow, f.phase
            using errcode = 'RW400', hint = format('see `rework show-task %s`', retry_flow.flow);
    end if;
    insert into rework.audit (action, subject, detail)
    values ('retry', 'task ' || f.id, json_build_object('phase', f.phase));
    if f.phase = 'stopped' then
        perform rework.resume_stopped(f.id);
        return 'it goes on from the steps that failed';
    end if;
    perform rework.plan_again(f.id);
    return 'it makes a new plan';
end $$;

-- fail_unregistered: fails the tasks of steps whose operation has been unregistered for longer than `age`, at most 1000.
-- A deploy unregisters an operation only for a moment, but a flow must not wait for ever. Returns how many.
create function rework.fail_unregistered(age interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off set enable_sort = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    tasks  bigint[];
begin
    tasks := array(
        select t.id
          from (select o.id from rework.operation o
                 where o.unregistered_at <= clock_timestamp() - fail_unregistered.age offset 0) as o
         cross join lateral (select l.id from rework.lane l where l.operation = o.id offset 0) as l
          join rework.task t on t.lane = l.id and t.state = 'queued'
         where t.flow is not null
         limit 1000
           for no key update of t skip locked);
    update rework.task t
       set state = 'failed', finished_at = clock_timestamp(),
           reason = format('operation `%s` has been unregistered since %s', o.name,
                           to_char(o.unregistered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
      from rework.operation o
     where t.id = any (tasks) and o.id = t.operation;
    if tasks <> '{}' then
        perform pg_notify('rework_end', t.id::text) from rework.task t where t.id = any (tasks) and t.notify_end;
        perform rework.follow(tasks);
    end if;
    return cardinality(tasks);
end $$;

revoke all on function rework.retry_reverts, rework.resume_stopped, rework.plan_again, rework.retry_flow,
    rework.fail_unregistered from public;
