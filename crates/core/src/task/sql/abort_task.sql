-- abort_task: the state that task $1 was in, and the one that it is in when asked to end because of $2.
-- The first is read before the function runs: only so can `aborted` by us be told from `aborted` before.
with before as materialized (
    select rework.state_of($1) as state
)
select (select state from before) as before, rework.abort($1, $2) as after
