-- task: one request to run an operation with one input. `rework.schedule` (V11) inserts it, `rework.claim` (V13)
-- makes it a run of a worker, `rework.complete` (V15) records the end of the run. docs/tasks.md has the states. The
-- functions at the end of this file check values that are to be stored in a task.

create sequence rework.position;

-- A domain instead of a check constraint of the table. Each statement that writes reads a check constraint from the
-- catalog again. For a task that is claimed alone, that takes a quarter of its time in the server.
create domain rework.state as text check (value in
    ('queued', 'delayed', 'waiting', 'running', 'aborting', 'done', 'failed', 'aborted', 'lost'));

-- `operation` and `lane` have no foreign keys. Checking both for each row costs more than inserting the row, and
-- locks two rows that other tasks share. It is safe to leave them out: the functions that insert tasks take both
-- values from rows that they have just read, and no role of `rework.grant_rights` may delete an operation or a lane.
-- Only `rework.sweep_lanes` (V06) deletes lanes, and none that a task needs that has not ended.
--
-- The fillfactor of the primary key leaves room in its pages. Each claim and each end of a task adds an entry near
-- its first one, and Postgres searches a full page for dead entries before it inserts.
create table rework.task (
    id              bigint generated always as identity primary key with (fillfactor = 50),
    operation       bigint not null,
    lane            integer not null,                     -- what it needs of a host, as a number: V06__lane.sql
    state           rework.state not null,
    priority        smallint not null default 0,          -- higher first
    position        bigint not null default nextval('rework.position'),   -- order within a priority; lower first
    host            text,                                 -- the only host that may run it; null: any
    capabilities    text[] not null default '{}',         -- capabilities that its host must have
    run             bigint not null default 0,            -- number of claims; never reset
    token           uuid,                                 -- set by the last claim; `run` and `token` are the fence
    attempt         integer not null default 0,           -- runs that count against the maximum of attempts
    losses          integer not null default 0,           -- number of consecutive lost runs
    worker          bigint,                               -- worker of the last claim
    ran_on          text,                                 -- host of the last claim
    revision        text,                                 -- revision of the code that ran
    queued_at       timestamptz not null default now(),   -- when it was scheduled
    delayed_until   timestamptz,                          -- null in state `delayed`: until somebody retries it
    started_at      timestamptz,                          -- when its code started, which is later than the claim
    finished_at     timestamptz,
    input           json,
    input_bytes     bytea,                                -- an input that is not JSON
    output          json,
    output_bytes    bytea,                                -- an output that is not JSON
    error           json,                                 -- {kind, message, traceback}; also of an exit or a timeout
    reason          text,                                 -- why it ended, for people
    progress        json,                                 -- {done, total, message}
    memory_peak     bigint,                               -- bytes, of the last run
    unique_key      text,                                 -- as given; `key_holder` (V18) has the task that keeps it
    metadata        json,                                 -- of the caller; rework does not read it
    notify_end      boolean not null default false,       -- whether a client waits: notify `rework_end` at the end
    parent          bigint,                               -- the task whose code scheduled this one, or that it follows
    parent_run      bigint,                               -- the run of `parent` in which it did, or that it follows
    parent_number   integer,                              -- number of the request within that run, from 1; negative:
                                                          -- number in `run_after` or `on_failure` of its operation
    awaits          integer not null default 0,           -- in state `waiting`: number of tasks that it waits for
    followed        boolean not null default false,       -- whether something follows its end: V20__edge.sql
    followers_left  integer not null default 1000,        -- how many tasks may still follow this one: V22__followers.sql
    retry           json,                                 -- retry policy: V14__retry_policy.sql; null: its operation's
    flow            bigint,                               -- the flow of which it is a step: V24__flow.sql; null: none
    step            integer                               -- the number of that step
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index task_ready on rework.task (lane, priority desc, position) where state = 'queued';
create index task_delayed on rework.task (delayed_until) where state = 'delayed';
-- The lanes of tasks that wait for other tasks are not swept.
create index task_waiting on rework.task (lane) where state = 'waiting';
-- `task_live` keeps the entries of finished runs until no snapshot can see them, so it is slow under an old snapshot.
-- `task_aborting` has few entries. The query that each monitor sends every second uses this one.
create index task_aborting on rework.task (worker) where state = 'aborting';
create index task_live on rework.task (worker) where state in ('running', 'aborting');
create unique index task_parent on rework.task (parent, parent_run, parent_number) where parent is not null;

-- examine_json: returns what `json_fault` returns, for the few texts that it cannot accept at once.
create function rework.examine_json(value text) returns text
language plpgsql immutable as $$
declare
    -- Escaped backslashes and quotes are replaced. Then each backslash begins one of the other escapes.
    plain     text := replace(replace(value, E'\\\\', '__'), E'\\"', '__');
    too_deep  text := 'is nested more than 100 levels deep';
begin
    -- 1. Whole pairs are removed. Each `\ud…` that remains is half a pair.
    if (strpos(plain, E'\\ud') > 0 or strpos(plain, E'\\uD') > 0)
       and regexp_replace(plain, E'\\\\ud[89ab][0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}', '', 'gi') ~* E'\\\\ud[89a-f]' then
        return 'contains half of a surrogate pair, which is not a character';
    end if;
    -- 2. The levels are counted by `jsonb`, which is fast. It cannot hold every character that an escape may stand for,
    -- so these escapes are replaced, too. Level 0 is the value itself, so the 101st array or object is at level 100.
    plain := replace(plain, E'\\u', '__');
    loop
        begin
            return case when jsonb_path_exists(
                plain::jsonb, 'strict $.**{100} ? (@.type() == "array" || @.type() == "object")') then too_deep end;
        exception
            when statement_too_complex then
                return too_deep;    -- it has so many levels that Postgres cannot parse it
            when numeric_value_out_of_range then
                plain := regexp_replace(plain, '[0-9]+', '1', 'g');    -- `jsonb` cannot hold every number
        end;
    end loop;
end $$;

-- json_fault: returns why a JSON text is refused as an input or as metadata, as the end of a sentence; null if it is
-- accepted. Postgres accepts more than other readers of JSON can read. So a text may have at most 100 levels of arrays
-- and objects (some readers stop at 128), and both halves of each surrogate pair. Numbers may have any size.
-- core/src/values/json.rs has the same rule for the command line.
--
-- Most texts are accepted without a call of `examine_json`, because half a pair needs `\ud`, and 101 levels need 101
-- opening brackets. Texts of more than 1 MiB are not examined: that would take too much time and memory.
create function rework.json_fault(value text) returns text
language sql immutable as $$
    select case
        when octet_length(value) > 1048576 then null
        when strpos(value, E'\\ud') > 0 or strpos(value, E'\\uD') > 0
             or octet_length(value) > 200
                and octet_length(value) - octet_length(replace(replace(value, '[', ''), '{', '')) > 100
        then rework.examine_json(value)
    end
$$;

-- check_options: checks the values that tasks and schedules have besides their input. Returns true. Raises RW413 if one
-- is too large, and RW400 if one makes no sense.
create function rework.check_options(
    operation      text,
    host           text,
    delayed_until  timestamptz,
    unique_key     text,
    metadata       json,
    capabilities   text[]
) returns boolean
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
declare
    fault  text[];    -- the fault, and what to do
begin
    fault := case
        when octet_length(unique_key) > 1000 then
            array['the unique key is longer than 1000 bytes', 'pass a hash of it']
        when octet_length(metadata::text) > 65536 then
            array['the metadata is larger than 64 KiB', 'pass large values as the input, or store them elsewhere']
        when cardinality(capabilities) > 32 or octet_length(array_to_string(capabilities, '')) > 1000 then
            array['it needs more than 32 capabilities, or their names have more than 1000 bytes together',
                  'give one name to capabilities that belong together']
    end;
    if fault is not null then
        raise exception 'a task of `%` is refused: %', operation, fault[1] using errcode = 'RW413', hint = fault[2];
    end if;
    fault := case
        when unique_key = '' then
            array['the unique key is empty', 'leave it out']
        when delayed_until > '9999-12-31 23:59:59+00' and isfinite(delayed_until) then
            array['it is delayed until after the year 9999', 'pass `infinity` for a task that somebody retries later']
        when rework.name_fault(host) is not null then
            array[format('the host `%s` %s', left(host, 60), rework.name_fault(host)),
                  'pass the name of a host, or null for any host']
        when array_ndims(capabilities) > 1 then
            array['the array of capabilities has more than one dimension', 'pass an array of names']
        when rework.json_fault(metadata::text) is not null then
            array['the metadata ' || rework.json_fault(metadata::text), 'pass metadata that every program can read']
        when array_position(capabilities, null) is not null then
            array['one of the capabilities is null', 'pass an array of names']
        else (
            select array[format('the capability `%s` %s', left(c, 60), rework.name_fault(c)), 'pass an array of names']
              from unnest(capabilities) as c
             where rework.name_fault(c) is not null
             limit 1)
    end;
    if fault is not null then
        raise exception 'a task of `%` is refused: %', operation, fault[1] using errcode = 'RW400', hint = fault[2];
    end if;
    return true;
end $$;

revoke all on function rework.examine_json, rework.json_fault, rework.check_options from public;
