-- worker_up: worker $1 is about to claim
update rework.worker set started_at = clock_timestamp()
 where id = $1 and started_at is null
returning id
