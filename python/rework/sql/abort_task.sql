-- abort_task: asks for the end of a task
select rework.abort(cast(:task as bigint), cast(:reason as text))
