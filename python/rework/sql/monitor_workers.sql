-- monitor_workers: returns the workers of monitor `:monitor` that have started and not ended.
select id
  from rework.worker
 where monitor = cast(:monitor as bigint)
   and started_at is not null
   and finished_at is null
 order by id
