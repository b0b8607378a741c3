-- rework_warm: workers that are up, and those of them that have done a task
select count(*) filter (where started_at is not null),
       count(*) filter (where exists (select from rework.task
                                       where task.worker = worker.id and task.state = 'done'))
  from rework.worker
 where finished_at is null
