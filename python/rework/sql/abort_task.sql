-- abort_task: requests the abort of task `:task` with the reason `:reason`, and returns the state of the task after the
-- request. A task that has ended stays as it is. Raises RW404 if the task does not exist.
select rework.abort(cast(:task as bigint), cast(:reason as text))
