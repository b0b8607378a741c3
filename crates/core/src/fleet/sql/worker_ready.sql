-- worker_ready: records that worker $1 is ready to claim.
update rework.worker set started_at = clock_timestamp()
 where id = $1 and started_at is null
returning id
