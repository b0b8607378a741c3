-- flow_abort: the abort of a flow, and what a lock has kept a flow from doing.

-- stop_tasks: ends the open tasks of a flow: those that execute steps, and with `undos` those that revert steps. A task
-- that runs becomes `aborting`, and its monitor is notified. One that no worker has becomes `aborted`; returns the ids
-- of these. Tasks that another transaction has locked are left to the next poll.
create function rework.stop_tasks(flow bigint, undos boolean, reason text) returns bigint[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    open_tasks  bigint[];
    locked      bigint[];
    ended       bigint[];
    stopping    bigint[];
begin
    open_tasks := array(
        select t.id
          from rework.step s
         cross join lateral (select t.id from rework.task t
                              where t.id = case when s.state = 'started' then s.task else s.undo_task end
                                and t.state || '' in ('queued', 'delayed', 'waiting', 'running')
                             offset 0) as t
         where s.flow = stop_tasks.flow and (s.state = 'started' or stop_tasks.undos and s.state = 'reverting'));
    locked := array(select t.id from rework.task t
                     where t.id = any (open_tasks) and t.state || '' in ('queued', 'delayed', 'waiting', 'running')
                     order by t.id
                       for no key update skip locked);
    if cardinality(locked) < cardinality(open_tasks) then
        update rework.flow f set missed = true where f.id = stop_tasks.flow and not f.missed;
    end if;
    with changed as (
        update rework.task t
           set state = case when t.state = 'running' then 'aborting' else 'aborted' end,
               finished_at = case when t.state <> 'running' then clock_timestamp() end,
               reason = stop_tasks.reason
         where t.id = any (locked)
        returning t.id, t.state::text
    )
    select array_agg(id) filter (where state = 'aborted'), array_agg(id) filter (where state = 'aborting')
      into ended, stopping
      from changed;
    if stopping is not null then
        perform pg_notify('rework', 'abort');
    end if;
    if ended is not null then
        perform rework.release(ended, true);
        perform pg_notify('rework_end', t.id::text) from rework.task t where t.id = any (ended) and t.notify_end;
    end if;
    return coalesce(ended, '{}');
end $$;

-- revert_whole: lets a whole flow be reverted that is executing. If that is impossible because of its data, it stops.
create function rework.revert_whole(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    ready  integer[];
    why    text;
begin
    update rework.flow f set phase = 'reverting', ends_as = 'aborted' where f.id = revert_whole.flow;
    begin
        ready := rework.begin_undo(revert_whole.flow, 0, 'revert', format('aborted with flow %s', revert_whole.flow));
        perform rework.settle_flow(revert_whole.flow, '{}', '{}', ready, '{}');
    exception when others then
        if not rework.is_data_fault(sqlstate) then
            raise;
        end if;
        get stacked diagnostics why = message_text;
        perform rework.stop_flow(revert_whole.flow, 'it cannot be reverted: ' || why);
    end;
end $$;

-- abort_flow: aborts a flow that has a plan. Its running steps are stopped. With `revert` everything that was executed is
-- reverted, and then the flow is `aborted`; otherwise also the reverts are stopped. A parked flow (`revert_failed`) ends
-- without further reverts. Returns the state of the task afterwards.
create function rework.abort_flow(flow bigint, reason text, revert boolean) returns text
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off set enable_sort = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    f      rework.flow;
    ended  bigint[];
begin
    select * into f from rework.flow as locked
     where locked.id = abort_flow.flow and locked.ended_at is null
       for no key update;
    if not found then
        return rework.state_of(abort_flow.flow);
    end if;
    update rework.task t set state = 'aborting', reason = abort_flow.reason
     where t.id = abort_flow.flow and t.state in ('waiting', 'aborting');
    if f.phase = 'stopping' or f.phase = 'revert_failed' or not abort_flow.revert then
        if f.phase <> 'stopping' then
            perform rework.begin_stop(abort_flow.flow, 'aborted');
        end if;
        ended := rework.stop_tasks(abort_flow.flow, true, format('aborted with flow %s', abort_flow.flow));
        perform rework.advance_or_stop(abort_flow.flow, ended);
        return rework.state_of(abort_flow.flow);
    end if;
    if f.phase = 'executing' then
        perform rework.revert_whole(abort_flow.flow);
        ended := rework.stop_tasks(abort_flow.flow, false, format('aborted with flow %s', abort_flow.flow));
        perform rework.advance_or_stop(abort_flow.flow, ended);
    end if;
    return rework.state_of(abort_flow.flow);
end $$;

-- repeat_missed: repeats what a lock has kept a flow from doing.
create function rework.repeat_missed(flow bigint, is_stopping boolean, is_aborting boolean) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    c      record;
    ready  integer[] := '{}';
begin
    if is_stopping and not is_aborting then
        ready := rework.withdraw(repeat_missed.flow, 0, 2147483647, 'withdrawn: the flow stops', false);
        -- Withdrawn steps have no task any more that could end, so they are subtracted here.
        update rework.flow f set remaining = f.remaining - cardinality(ready) where f.id = repeat_missed.flow;
        perform rework.end_unfinished_flow(f.id) from rework.flow f where f.id = repeat_missed.flow and f.remaining <= 0;
        return;
    elsif not is_stopping then
        for c in select s.first, s.last from rework.scope s where s.flow = repeat_missed.flow and s.aim is not null loop
            ready := ready || rework.withdraw(repeat_missed.flow, c.first, c.last, 'withdrawn: another step failed', true);
        end loop;
        perform rework.settle_flow(repeat_missed.flow, '{}', '{}', ready, '{}');
    end if;
    if is_aborting then
        perform rework.advance_or_stop(
            repeat_missed.flow,
            rework.stop_tasks(repeat_missed.flow, is_stopping, format('aborted with flow %s', repeat_missed.flow)));
    end if;
end $$;

-- advance_missed: repeats what a lock has kept flows from doing: to withdraw or to stop tasks. Each poll of a monitor
-- calls it if there is such a flow. A flow that cannot go on because of its data stops, and does not disturb the poll.
create function rework.advance_missed() returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off set enable_sort = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    f    record;
    why  text;
begin
    for f in
        select locked.id, locked.phase = 'stopping' as is_stopping, t.state = 'aborting' as is_aborting
          from rework.flow locked
          join rework.task t on t.id = locked.id
         where locked.missed
         order by locked.id desc
         limit 100
           for no key update of locked skip locked
    loop
        update rework.flow u set missed = false where u.id = f.id;
        begin
            perform rework.repeat_missed(f.id, f.is_stopping, f.is_aborting);
        exception when others then
            if not rework.is_data_fault(sqlstate) then
                raise;
            end if;
            get stacked diagnostics why = message_text;
            perform rework.stop_flow(f.id, 'it cannot go on: ' || why);
        end;
    end loop;
end $$;

revoke all on function rework.stop_tasks, rework.revert_whole, rework.abort_flow, rework.repeat_missed,
    rework.advance_missed from public;
