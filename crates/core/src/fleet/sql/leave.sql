-- leave: worker $1 has ended by itself, because of $2; the lease by which it lived
update rework.worker set finished_at = clock_timestamp(), reason = $2
 where id = $1 and finished_at is null
returning lease
