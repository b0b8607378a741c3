-- import_counts: returns the numbers of tasks in the source that are not imported, and of monitors
-- that seem to run: those that updated their row within the last minute. `aborting` also counts
-- queued tasks whose abort was requested.
select count(*) filter (where status = 'running' and not abort) as running,
       count(*) filter (where status <> 'done' and abort) as aborting,
       count(*) filter (where status = 'done') as ended,
       (select count(*) from rework.monitor where lastseen > now() - interval '1 minute') as monitors
  from rework.task
