-- abort_task: requests the abort of task $1 with reason $2. If it is a flow and $3 is true, its steps are reverted.
-- Returns the states of the task before and after the request. Raises RW404 if the task does not exist. The state
-- before is read in a materialized subquery, that is before the function runs. Without it a task that this request
-- aborts at once could not be distinguished from one that was aborted before.
with before as materialized (
    select rework.state_of($1) as state
)
select (select state from before) as before, rework.abort($1, $2, $3) as after
