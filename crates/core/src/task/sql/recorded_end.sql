-- recorded_end: returns a state that is not null if the end of run $2 with token $3 of task $1 is recorded. The end is
-- in the task if it ended the task, and in `rework.run` if the task was tried again.
select coalesce(
    (select task.state from rework.task
      where task.id = $1 and task.run = $2 and task.token = $3 and (task.state not in ('running', 'aborting') or task.worker is null)),
    (select 'queued' from rework.run where run.task = $1 and run.run = $2 and run.token = $3)) as state
