-- import_others: how many tasks of the Python rework are not queued, and how many of its monitors seem to live
select count(*) filter (where status = 'running' and not abort) as running,
       count(*) filter (where status <> 'done' and abort) as aborting,
       count(*) filter (where status = 'done') as ended,
       (select count(*) from rework.monitor where lastseen > now() - interval '1 minute') as monitors
  from rework.task
