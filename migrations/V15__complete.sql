-- complete: records the ends of runs. From the outcome of a run and the limits of its operation, it decides the next
-- state of the task. V14__retry_policy.sql has the rules of further attempts. Workers, monitors and the sweep of lost
-- hosts (the step in which a monitor records the runs of a lost host) call this function. Nothing else ends a run.
--
-- Inputs: arrays with one element for each run; the elements at one index belong together. An array of nulls only may
-- be passed empty. `tokens`, `outcomes` and `revisions` may have one element that is valid for all runs.
--   tasks, runs, tokens       the fence: the task, the number of its claim, and the token of that claim. A run that has
--                             ended, or is not the current one of its task, is left out
--   outcomes                  what happened to the run:
--                               done         it returned, or exited with code 0
--                               failed       an error, exit code, signal or timeout: another attempt may succeed
--                               refused      another attempt cannot succeed: invalid input, output or code
--                               lost         nothing observed its end: its worker or its host died
--                               aborted      a user requested its end
--                               drained      its monitor was stopped, and the grace period ended
--                               not_started  it was claimed, but its code did not start
--                               put_off      its code requests to be started again later, which uses no attempt
--                               planned      it returned the plan of a flow, which is its output (V30__flow_ends.sql)
--   reasons                   why it ended, for people
--   errors                    {kind, message, traceback} as JSON
--   outputs, outputs_bytes    its output, as JSON or as bytes; if both are null, an output that it saved earlier stays
--   started_us_ago            microseconds since its code started; null if it did not start
--   ended_us_ago              microseconds since its end
--   memory_peaks              bytes
--   retries_ms                milliseconds until the next attempt, if the error asks for that; until the next start of
--                             a run that is put off
--   revisions                 the revision of the code that ran
-- and for all runs together:
--   not_before                no run started before this moment. A worker passes the latest start that it recorded
--
-- Result: one row for each run that was recorded, with the new state of its task. If all runs of the call are done,
-- which is the usual case, a single row with a null task stands for all of them, with the latest start.
--
-- Steps
--   1. Convert microseconds to times of the server. The call arrives later than the worker measured, so all times are
--      a little too late. `not_before` keeps the runs of one worker in order all the same.
--   2. Record the runs that are done and whose tasks are not `aborting`, by one update. Most calls end here.
--   3. For each other run: decide the next state of the task, keep the run in `rework.run` if the task goes back to
--      the queue, update the task, and notify clients and monitors.
--   4. Follow the ends that something follows (V20__edge.sql), and the rounds of an endless retry policy that failed.
--      This is last, when the transaction has locked all tasks of the call.
--
-- Locks. If another transaction holds one of the rows for longer than `lock_timeout`, the whole call fails and can be
-- repeated. 500 ms is less than `deadlock_timeout` (1 s by default), and less than the client waits for an answer
-- before it closes the connection.
--
-- Plans. This is a function so that a session keeps its plans (see V13__claim.sql), and plans that are slow on a full
-- table are disabled. Tasks must be found by primary key: `state || ''` hides the column from the planner, which would
-- otherwise scan `task_live`, the index of all live tasks.

create function rework.complete(
    tasks           bigint[],
    runs            bigint[],
    tokens          uuid[],
    outcomes        text[],
    reasons         text[],
    errors          text[],
    outputs         text[],
    outputs_bytes   bytea[],
    started_us_ago  bigint[],
    ended_us_ago    bigint[],
    memory_peaks    bigint[],
    retries_ms      bigint[],
    revisions       text[],
    not_before      timestamptz default null
) returns table (
    task            bigint,
    run             bigint,
    state           text,
    started_at      timestamptz
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan set lock_timeout = '500ms' as $$
#variable_conflict use_column
declare
    called_at        timestamptz := clock_timestamp();
    counted_from     timestamptz := called_at;         -- the moment that the microseconds are subtracted from
    longest_us       bigint := started_us_ago[1];
    token_of_all     uuid := case when cardinality(tokens) = 1 then tokens[1] end;
    outcome_of_all   text := case when cardinality(outcomes) = 1 then outcomes[1] end;
    revision_of_all  text := case when cardinality(revisions) = 1 then revisions[1] end;
    done_tasks       bigint[];
    latest_start     timestamptz;
    domain           text;
    notified         text[] := '{}';
    is_followed      boolean;
    followed_tasks   bigint[];     -- tasks whose end, or whose failed round, something follows
    step_tasks       bigint[];     -- done tasks of steps (V24__flow.sql)
    plan             text;         -- of a run that is `planned`
    planned_tasks    bigint[];
    plans            json[];
begin
    -- 1. Times. The earliest start must be later than `not_before`: if it is not, move all times forward. If that would
    -- take more than 2 seconds, the server's clock was set back, and its present time is used.
    if cardinality(started_us_ago) > 1 then
        select max(us_ago) into longest_us from unnest(started_us_ago) as us_ago;
    end if;
    if not_before + (1 + longest_us) * interval '1 microsecond'
       between called_at and called_at + interval '2 seconds' then
        counted_from := not_before + (1 + longest_us) * interval '1 microsecond';
    end if;

    -- 2. Runs that are done. The notification is sent within `returning`, so that no further statement is needed.
    with ended as (
        update rework.task t
           set state = 'done', losses = 0, reason = null, error = null, memory_peak = g.peak,
               started_at = coalesce(t.started_at, counted_from - g.started_ago * interval '1 microsecond'),
               finished_at = greatest(counted_from - g.ended_ago * interval '1 microsecond', t.started_at),
               output = case when g.output is null and g.bytes is null then t.output else g.output::json end,
               output_bytes = case when g.output is null and g.bytes is null then t.output_bytes else g.bytes end,
               revision = coalesce(g.revision, revision_of_all, t.revision)
          from unnest(tasks, runs, tokens, outcomes, outputs, outputs_bytes, started_us_ago, ended_us_ago,
                      memory_peaks, revisions)
               as g (task, run, token, outcome, output, bytes, started_ago, ended_ago, peak, revision)
         where t.id = g.task and t.run = g.run and t.token = coalesce(g.token, token_of_all)
           and coalesce(g.outcome, outcome_of_all) = 'done' and t.state || '' = 'running'
        returning t.id, t.started_at, t.followed, t.flow,
                  case when t.notify_end then pg_notify('rework_end', t.id::text)::text end
    )
    select array_agg(ended.id), max(ended.started_at), array_agg(ended.id) filter (where ended.followed),
           array_agg(ended.id) filter (where ended.flow is not null)
      into done_tasks, latest_start, followed_tasks, step_tasks
      from ended;
    if cardinality(done_tasks) = cardinality(tasks) then
        if followed_tasks is not null then
            perform rework.follow(followed_tasks || step_tasks);
        elsif step_tasks is not null then
            perform rework.advance(step_tasks);
        end if;
        return query select null::bigint, null::bigint, 'done', latest_start;
        return;
    end if;
    return query
        select t.id, t.run, t.state::text, t.started_at
          from rework.task t
         where t.id = any (done_tasks);

    -- 3. All other runs. They are locked in the order of their ids, so that two calls do not deadlock.
    for task, run, state, domain, started_at, is_followed, plan in
        with current_run as materialized (
            select t.id, t.state, t.attempt, t.losses, t.notify_end, t.reason as abort_reason, t.flow,
                   coalesce((t.retry ->> 'attempts')::integer, o.attempts) as attempts,
                   coalesce(t.retry, o.retry) as retry,
                   -- How many of the 1000 runs before this one were put off.
                   case when coalesce(g.outcome, outcome_of_all) = 'put_off' then (
                       select count(*) from rework.run r
                        where r.task = t.id and r.run >= t.run - 1000 and r.outcome = 'put_off')
                   end as put_off_before,
                   o.domain, o.retry_lost, g.reason, g.error, g.output, g.bytes,
                   g.started_ago, g.ended_ago, g.peak, g.retry_ms,
                   coalesce(g.outcome, outcome_of_all) as outcome,
                   coalesce(g.revision, revision_of_all) as revision,
                   coalesce(t.started_at, counted_from - g.started_ago * interval '1 microsecond') as started_at
              from unnest(tasks, runs, tokens, outcomes, reasons, errors, outputs, outputs_bytes,
                          started_us_ago, ended_us_ago, memory_peaks, retries_ms, revisions)
                   as g (task, run, token, outcome, reason, error, output, bytes, started_ago, ended_ago, peak,
                         retry_ms, revision)
              join rework.task t on t.id = g.task and t.run = g.run and t.token = coalesce(g.token, token_of_all)
              join rework.operation o on o.id = t.operation
             -- A flow that has its plan has no worker: it is not ended by a plan that is sent again.
             where t.state || '' in ('running', 'aborting') and t.worker is not null
             order by t.id
               for no key update of t
        ),
        -- The next state of each task. docs/tasks.md explains these rules to users.
        decided as materialized (
            select current_run.*,
                   case
                       when state = 'aborting' then 'aborted'
                       when outcome = 'planned' and output is not null and flow is null then 'waiting'
                       when outcome = 'done' then 'done'
                       when outcome = 'failed'
                            and (attempt < attempts or coalesce((retry ->> 'endless')::boolean, false))
                            and (retry_ms is not null or rework.is_retried(retry, error::json)) then 'delayed'
                       when outcome = 'put_off' and put_off_before < 1000 then 'delayed'
                       when outcome in ('failed', 'refused', 'put_off', 'planned') then 'failed'
                       when outcome = 'lost' and retry_lost and losses < 3 then 'queued'
                       when outcome = 'lost' then 'lost'
                       when outcome = 'drained' and retry_lost then 'queued'
                       when outcome in ('aborted', 'drained') then 'aborted'
                       when outcome = 'not_started' then 'queued'
                   end as next_state
              from current_run
        ),
        kept_run as (
            insert into rework.run (task, run, attempt, token, worker, host, revision, outcome, reason,
                                    error, memory_peak, started_at, finished_at)
            select t.id, t.run, t.attempt, t.token, t.worker, t.ran_on, d.revision, d.outcome, d.reason,
                   d.error::json, d.peak, d.started_at,
                   greatest(counted_from - d.ended_ago * interval '1 microsecond', d.started_at)
              from decided d
              join rework.task t on t.id = d.id
             where d.next_state in ('queued', 'delayed')
        )
        update rework.task t
           set state = d.next_state,
               -- A run that was lost, drained, put off or not started does not count as an attempt if it is repeated.
               -- After the last attempt of an endless policy the attempts are counted from 1 again.
               attempt = case when d.next_state = 'queued' then t.attempt - 1
                              when d.next_state = 'delayed' and d.outcome = 'put_off' then t.attempt - 1
                              when d.next_state = 'delayed' and t.attempt >= d.attempts then 0
                              else t.attempt end,
               losses = case when d.outcome = 'lost' then t.losses + 1
                             when d.outcome = 'not_started' then t.losses
                             else 0 end,
               -- A task whose code started is queued last. One whose code did not start keeps its position.
               position = case when d.next_state = 'queued' and d.outcome <> 'not_started'
                               then nextval('rework.position') else t.position end,
               delayed_until = case when d.next_state = 'delayed'
                                    then called_at + rework.retry_backoff(d.retry, t.attempt, d.retry_ms, random())
                                    else t.delayed_until end,
               started_at = case when d.next_state in ('queued', 'delayed') then null else d.started_at end,
               -- Otherwise a monitor would end it with the worker that has made its plan.
               worker = case when d.next_state <> 'waiting' then t.worker end,
               finished_at = case when d.next_state in ('queued', 'delayed', 'waiting') then null
                                  else greatest(counted_from - d.ended_ago * interval '1 microsecond', d.started_at)
                             end,
               -- An aborted task keeps the reason of the abort request, unless `unkillable: …` has replaced it.
               reason = case when d.state = 'aborting' and d.abort_reason not like 'unkillable:%' then d.abort_reason
                             when d.outcome = 'put_off' and d.next_state = 'failed' then
                                 format('put off more than 1000 times in a row, at last: %s', d.reason)
                             when d.outcome = 'planned' and d.next_state = 'failed' then
                                 case when d.flow is null then 'it has returned no plan'
                                      else 'its operation has become a flow, and a step cannot be one' end
                             else d.reason end,
               error = d.error::json,
               output = case when d.next_state in ('queued', 'delayed', 'waiting') or d.outcome = 'planned' then null
                             when d.output is null and d.bytes is null then t.output
                             else d.output::json end,
               output_bytes = case when d.next_state in ('queued', 'delayed') then null
                                   when d.output is null and d.bytes is null then t.output_bytes
                                   else d.bytes end,
               memory_peak = d.peak,
               revision = coalesce(d.revision, t.revision)
          from decided d
         where t.id = d.id
        -- The notification to clients is a side effect of the column `state`, to whose text it adds nothing.
        returning t.id, t.run,
                  case when d.notify_end and t.state not in ('queued', 'delayed', 'waiting')
                       then t.state || pg_notify('rework_end', t.id::text)::text else t.state end,
                  case when t.state = 'queued' then d.domain end, d.started_at,
                  (t.followed or t.flow is not null)
                  and (t.state not in ('queued', 'delayed', 'waiting')
                       -- The last attempt of a round of an endless policy.
                       or d.next_state = 'delayed' and d.outcome = 'failed' and d.attempt >= d.attempts),
                  case when t.state = 'waiting' then d.output end
    loop
        -- `domain` is null unless the task is ready again. Each domain is notified once.
        if domain <> all (notified) then
            perform rework.notify_ready(domain);
            notified := notified || domain;
        end if;
        if is_followed then
            followed_tasks := followed_tasks || task;
        end if;
        if plan is not null then
            planned_tasks := planned_tasks || task;
            plans := plans || plan::json;
        end if;
        return next;
    end loop;
    if planned_tasks is not null then
        perform rework.make_flows(planned_tasks, plans);
    end if;

    -- 4. What follows.
    if followed_tasks is not null or step_tasks is not null then
        perform rework.follow(followed_tasks || step_tasks);
    end if;
end $$;

revoke all on function rework.complete from public;
