-- rework_warm: counts the workers that have started, and the workers that have done a task. Workers
-- that have ended do not count.
select count(*) filter (where started_at is not null),
       count(*) filter (where exists (select from rework.task
                                       where task.worker = worker.id and task.state = 'done'))
  from rework.worker
 where finished_at is null
