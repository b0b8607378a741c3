-- complete: runs end, and what happened to them decides what becomes of their tasks. The only way in which a run ends.
--
-- Each array has an element for each run; the elements at one index belong together. An array that would hold nothing
-- but nulls may be empty; of tokens, outcomes and revisions one element may stand for all.
--   tasks, runs, tokens      the fence
--   outcomes                 done | failed | refused | lost | aborted | drained | unbegun
--   reasons, errors          the cause in words; {kind, message, traceback} as JSON
--   outputs, outputs_bytes   its output, as JSON or as bytes; if both are null, the output that it saved before stays
--   began_us, ended_us       microseconds since its code started, null if it never did; microseconds since its end
--   peaks                    memory peak in bytes
--   retries_ms               milliseconds until the next attempt, if the error asks for that
--   revisions                of the code that ran
--
-- `began_us` and `ended_us` are counted back from the server's clock, which is later than the moment from which the worker
-- counted. `after` keeps the runs of one worker in order all the same: no run of `tasks` started before it.
--
-- The answer has a row for each run, and none for a run that is no longer current. If all runs are done, as most are, one row
-- without a task stands for all of them, with the start of the latest. If somebody's transaction holds a row for longer
-- than `lock_timeout`, the whole call fails: before a deadlock could come of it, and before the client gives up the
-- connection without knowing what became of the other runs.
--
-- Runs that are done, of tasks that nobody wants to abort, are recorded by the first statement; all others by the second. Both
-- find tasks by primary key: `state || ''` hides the column from the planner, which would otherwise scan the
-- index of all live tasks.
--
-- A function, so that a session keeps its plans. They may date from when the table was empty, so those that are
-- slow on a full table are disabled.

create function rework.complete(
    tasks          bigint[],
    runs           bigint[],
    tokens         uuid[],
    outcomes       text[],
    reasons        text[],
    errors         text[],
    outputs        text[],
    outputs_bytes  bytea[],
    began_us       bigint[],
    ended_us       bigint[],
    peaks          bigint[],
    retries_ms     bigint[],
    revisions      text[],
    after          timestamptz default null
) returns table (
    task           bigint,
    run            bigint,
    state          text,
    started_at     timestamptz
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_memoize = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan set lock_timeout = '500ms' as $$
#variable_conflict use_column
declare
    clock            timestamptz := clock_timestamp();
    counted_from     timestamptz := clock;
    longest_us       bigint := began_us[1];
    token_of_all     uuid := case when cardinality(tokens) = 1 then tokens[1] end;
    outcome_of_all   text := case when cardinality(outcomes) = 1 then outcomes[1] end;
    revision_of_all  text := case when cardinality(revisions) = 1 then revisions[1] end;
    done_tasks       bigint[];
    latest_start     timestamptz;
    domain           text;
    notified         text[] := '{}';
begin
    if cardinality(began_us) > 1 then
        select max(began) into longest_us from unnest(began_us) as began;
    end if;
    -- The earliest start must lie behind `after`. If that would take more than 2 seconds, the server's clock was put back, and is believed.
    if after + (1 + longest_us) * interval '1 microsecond' between clock and clock + interval '2 seconds' then
        counted_from := after + (1 + longest_us) * interval '1 microsecond';
    end if;

    with ended as (
        update rework.task t
           set state = 'done', losses = 0, reason = null, error = null, memory_peak = g.peak,
               started_at = coalesce(t.started_at, counted_from - g.began * interval '1 microsecond'),
               finished_at = greatest(counted_from - g.ended * interval '1 microsecond', t.started_at),
               output = case when g.output is null and g.bytes is null then t.output else g.output::json end,
               output_bytes = case when g.output is null and g.bytes is null then t.output_bytes else g.bytes end,
               revision = coalesce(g.revision, revision_of_all, t.revision)
          from unnest(tasks, runs, tokens, outcomes, outputs, outputs_bytes, began_us, ended_us, peaks, revisions)
               as g (task, run, token, outcome, output, bytes, began, ended, peak, revision)
         where t.id = g.task and t.run = g.run and t.token = coalesce(g.token, token_of_all)
           and coalesce(g.outcome, outcome_of_all) = 'done' and t.state || '' = 'running'
        returning t.id, t.started_at,
                  case when t.watched then pg_notify('rework_end', t.id::text)::text end
    )
    select array_agg(ended.id), max(ended.started_at) into done_tasks, latest_start from ended;
    if cardinality(done_tasks) = cardinality(tasks) then
        return query select null::bigint, null::bigint, 'done', latest_start;
        return;
    end if;
    return query
        select t.id, t.run, t.state::text, t.started_at
          from rework.task t
         where t.id = any (done_tasks);

    for task, run, state, domain, started_at in
        with held as materialized (
            select t.id, t.state, t.attempt, t.losses, t.watched, t.reason as asked,
                   o.domain, o.attempts, o.retry_lost, g.words, g.error, g.output, g.bytes, g.began, g.ended, g.peak, g.retry,
                   coalesce(g.outcome, outcome_of_all) as outcome,
                   coalesce(g.revision, revision_of_all) as revision,
                   coalesce(t.started_at, counted_from - g.began * interval '1 microsecond') as started_at
              from unnest(tasks, runs, tokens, outcomes, reasons, errors, outputs, outputs_bytes,
                          began_us, ended_us, peaks, retries_ms, revisions)
                   as g (task, run, token, outcome, words, error, output, bytes, began, ended, peak, retry, revision)
              join rework.task t on t.id = g.task and t.run = g.run and t.token = coalesce(g.token, token_of_all)
              join rework.operation o on o.id = t.operation
             where t.state || '' in ('running', 'aborting')
             order by t.id
               for no key update of t
        ),
        verdict as materialized (
            select held.*,
                   case
                       when state = 'aborting' then 'aborted'
                       when outcome = 'done' then 'done'
                       when outcome = 'failed' and attempt < attempts then 'delayed'
                       when outcome in ('failed', 'refused') then 'failed'
                       when outcome = 'lost' and retry_lost and losses < 3 then 'queued'
                       when outcome = 'lost' then 'lost'
                       when outcome = 'drained' and retry_lost then 'queued'
                       when outcome in ('aborted', 'drained') then 'aborted'
                       when outcome = 'unbegun' then 'queued'
                   end as next
              from held
        ),
        kept as (
            insert into rework.run (task, run, attempt, token, worker, host, revision, outcome, reason,
                                    error, memory_peak, started_at, finished_at)
            select t.id, t.run, t.attempt, t.token, t.worker, t.ran_on, v.revision, v.outcome, v.words,
                   v.error::json, v.peak, v.started_at,
                   greatest(counted_from - v.ended * interval '1 microsecond', v.started_at)
              from verdict v
              join rework.task t on t.id = v.id
             where v.next in ('queued', 'delayed')
        )
        update rework.task t
           set state = v.next,
               attempt = case when v.next = 'queued' then t.attempt - 1 else t.attempt end,
               losses = case when v.outcome = 'lost' then t.losses + 1
                             when v.outcome = 'unbegun' then t.losses
                             else 0 end,
               -- A task whose code has started goes behind those that wait; one whose code has not keeps its place.
               position = case when v.next = 'queued' and v.outcome <> 'unbegun'
                               then nextval('rework.position') else t.position end,
               delayed_until = case when v.next = 'delayed' then clock + rework.retry_backoff(t.attempt, v.retry)
                                    else t.delayed_until end,
               started_at = case when v.next in ('queued', 'delayed') then null else v.started_at end,
               finished_at = case when v.next in ('queued', 'delayed') then null
                                  else greatest(counted_from - v.ended * interval '1 microsecond', v.started_at) end,
               reason = case when v.state = 'aborting' and v.asked not like 'unkillable:%' then v.asked else v.words end,
               error = v.error::json,
               output = case when v.next in ('queued', 'delayed') then null
                             when v.output is null and v.bytes is null then t.output
                             else v.output::json end,
               output_bytes = case when v.next in ('queued', 'delayed') then null
                                   when v.output is null and v.bytes is null then t.output_bytes
                                   else v.bytes end,
               memory_peak = v.peak,
               revision = coalesce(v.revision, t.revision)
          from verdict v
         where t.id = v.id
        returning t.id, t.run,
                  case when v.watched and t.state not in ('queued', 'delayed')
                       then t.state || pg_notify('rework_end', t.id::text)::text else t.state end,
                  case when t.state = 'queued' then v.domain end, v.started_at
    loop
        if domain <> all (notified) then
            perform rework.hint_ready(domain);
            notified := notified || domain;
        end if;
        return next;
    end loop;
end $$;

revoke all on function rework.complete from public;
