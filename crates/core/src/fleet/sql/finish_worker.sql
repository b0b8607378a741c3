-- finish_worker: records when and with which reason $2 worker $1 ended. Returns the lease that it depended on; no row
-- if the end was recorded before.
update rework.worker set finished_at = clock_timestamp(), reason = $2
 where id = $1 and finished_at is null
returning lease
