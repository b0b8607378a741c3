-- complete: what happened to runs decides what becomes of their tasks. The one way a run ends.
--
-- Each array has an element for each run; all of one place belong together. One that would hold nothing
-- but nulls may be empty; of tokens, outcomes and revisions one element may stand for all.
--   tasks, runs, tokens      the fence
--   outcomes                 done | failed | refused | lost | aborted | drained | unbegun
--   reasons, errors          the cause in words; {kind, message, traceback} as JSON
--   outputs, outputs_bytes   what it gave, as JSON or as bytes; neither: what it saved under way
--   began_us, ended_us       microseconds since its code began, null where it never did; since its end
--   peaks                    memory peak in bytes
--   retries_ms               milliseconds until the next attempt, where the error asks for it
--   revisions                of the code that ran
--   rows                     where the tasks lie: a hint, which need not be true any more
--
-- Times since are counted back from now, which is later than what happened by what it took to tell.
-- `after` keeps what one worker ran in order in spite of that: no run of `tasks` began before it.
--
-- A row for each run; none for one that is not current any more. Where all are done, as most are, one row
-- without a task stands for all of them, with the beginning of the last. Who holds a row for longer than
-- the timeout, in a transaction of his own, fails the whole: before it could be a deadlock, and before
-- the client gives the connection up, not knowing what became of the rest. Of several, those that are done are looked for in
-- `rows`, which costs half of what the key does; all else is found by its key: `state` is hidden from the planner, which
-- would take the index of all that is live.
--
-- A function, so that a session keeps its plans.

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
    after          timestamptz default null,
    rows           tid[] default '{}'
) returns table (
    task           bigint,
    run            bigint,
    state          text,
    started_at     timestamptz
)
language plpgsql set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set jit = off set plan_cache_mode = force_generic_plan
    set lock_timeout = '500ms' as $$
#variable_conflict use_column
declare
    clock   timestamptz := clock_timestamp();
    now     timestamptz := clock;
    first   timestamptz;
    longest bigint := began_us[1];
    token_of_all    uuid := case when cardinality(tokens) = 1 then tokens[1] end;
    outcome_of_all  text := case when cardinality(outcomes) = 1 then outcomes[1] end;
    revision_of_all text := case when cardinality(revisions) = 1 then revisions[1] end;
    done    bigint[];
    last    timestamptz;
    domain  text;
    watched boolean;
    hinted  text[] := '{}';
begin
    if cardinality(began_us) > 1 then
        select max(began) into longest from unnest(began_us) as began;
    end if;
    first := complete.after + (1 + longest) * interval '1 microsecond';
    -- A clock that was put back by more than it takes to tell is believed.
    if first between clock and clock + interval '2 seconds' then
        now := first;
    end if;

    -- Most runs are done, and nobody has asked for their end. One alone needs no arrays.
    if cardinality(tasks) = 1 then
        update rework.task t
           set state = 'done', losses = 0, reason = null, error = null, memory_peak = peaks[1],
               started_at = coalesce(t.started_at, now - began_us[1] * interval '1 microsecond'),
               finished_at = greatest(now - ended_us[1] * interval '1 microsecond', t.started_at),
               output = case when outputs[1] is null and outputs_bytes[1] is null then t.output else outputs[1]::json end,
               output_bytes = case when outputs[1] is null and outputs_bytes[1] is null then t.output_bytes else outputs_bytes[1] end,
               revision = coalesce(revisions[1], t.revision)
         where t.id = tasks[1] and t.run = runs[1] and t.token = tokens[1]
           and outcomes[1] = 'done' and t.state || '' = 'running'
        returning t.started_at, t.watched into last, watched;
        if found then
            if watched then
                perform pg_notify('rework_end', tasks[1]::text);
            end if;
            state := 'done';
            started_at := last;
            return next;
            return;
        end if;
    end if;

    -- Those without a hint are looked up: they have been written since the claim.
    if cardinality(rows) < cardinality(tasks) or array_position(rows, null) > 0 then
        rows := array(
            select coalesce(g.row, (select t.ctid from rework.task t where t.id = g.task))
              from unnest(tasks, rows) as g (task, row));
    end if;

    with ended as (
        update rework.task t
           set state = 'done', losses = 0, reason = null, error = null, memory_peak = g.peak,
               started_at = coalesce(t.started_at, now - g.began * interval '1 microsecond'),
               finished_at = greatest(now - g.ended * interval '1 microsecond', t.started_at),
               output = case when g.output is null and g.bytes is null then t.output else g.output::json end,
               output_bytes = case when g.output is null and g.bytes is null then t.output_bytes else g.bytes end,
               revision = coalesce(g.revision, revision_of_all, t.revision)
          from unnest(rows, tasks, runs, tokens, outcomes, outputs, outputs_bytes, began_us, ended_us, peaks, revisions)
               as g (row, task, run, token, outcome, output, bytes, began, ended, peak, revision)
         where t.ctid = g.row and t.id + 0 = g.task and t.run = g.run and t.token = coalesce(g.token, token_of_all)
           and coalesce(g.outcome, outcome_of_all) = 'done' and t.state || '' = 'running'
        returning t.id, t.started_at,
                  case when t.watched then pg_notify('rework_end', t.id::text)::text end
    )
    select array_agg(ended.id), max(ended.started_at) into done, last from ended;
    if cardinality(done) = cardinality(tasks) then
        return query select null::bigint, null::bigint, 'done', last;
        return;
    end if;
    return query
        select t.id, t.run, t.state::text, t.started_at
          from rework.task t
         where t.id = any (done);

    for task, run, state, domain, started_at in
        with held as materialized (
            select t.id, t.state, t.attempt, t.losses, t.watched, t.reason as asked,
                   o.domain, o.attempts, o.retry_lost, g.words, g.error, g.output, g.bytes, g.began, g.ended, g.peak, g.retry,
                   coalesce(g.outcome, outcome_of_all) as outcome,
                   coalesce(g.revision, revision_of_all) as revision,
                   coalesce(t.started_at, now - g.began * interval '1 microsecond') as started_at
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
                   greatest(now - v.ended * interval '1 microsecond', v.started_at)
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
               -- What has begun goes behind what waits; what has not keeps its place.
               position = case when v.next = 'queued' and v.outcome <> 'unbegun'
                               then nextval('rework.position') else t.position end,
               -- 1, 2, 4 … seconds up to an hour, and up to a tenth more, so that what failed together
               -- does not come back together.
               delayed_until = case when v.next = 'delayed' then clock
                   + least(coalesce(v.retry, least(3600, power(2, least(t.attempt - 1, 12))) * 1000 * (1 + random() / 10)), 31536000000)
                   * interval '1 millisecond' else t.delayed_until end,
               started_at = case when v.next in ('queued', 'delayed') then null else v.started_at end,
               finished_at = case when v.next in ('queued', 'delayed') then null
                                  else greatest(now - v.ended * interval '1 microsecond', v.started_at) end,
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
        if domain <> all (hinted) then
            perform rework.hint_ready(domain);
            hinted := hinted || domain;
        end if;
        return next;
    end loop;
end $$;

revoke all on function rework.complete from public;
