-- mixed_waits: counts the runs that were requeued while a long task of the same worker was running.
-- Returns this count, the longest time in milliseconds from the start of the long task to the
-- requeue (0 if there is none), and the number of all done tasks.
select count(*), coalesce(extract(epoch from max(run.finished_at - long.started_at)) * 1000, 0)::float8,
       (select count(*) from rework.task where state = 'done')
  from rework.run
  join rework.task as long on long.worker = run.worker and long.input::text = '2000'
   and long.started_at <= run.finished_at and long.finished_at >= run.finished_at
 where run.outcome = 'not_started'
