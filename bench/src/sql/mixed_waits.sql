-- mixed_waits: how many claims were given back behind a long task, after how many ms of it at most; and
-- how many tasks are done
select count(*), coalesce(extract(epoch from max(run.finished_at - long.started_at)) * 1000, 0)::float8,
       (select count(*) from rework.task where state = 'done')
  from rework.run
  join rework.task as long on long.worker = run.worker and long.input::text = '2000'
   and long.started_at <= run.finished_at and long.finished_at >= run.finished_at
 where run.outcome = 'unbegun'
