-- monitor_workers: the workers of a monitor that are up
select id
  from rework.worker
 where monitor = cast(:monitor as bigint)
   and started_at is not null
   and finished_at is null
 order by id
