-- finish_taken_monitors: monitors whose lease was taken away have ended, because of $1
update rework.monitor set finished_at = clock_timestamp(), reason = $1, wants = '{}'
 where finished_at is null
   and lease in (select id from rework.lease where taken_at is not null and swept_at is null)
returning id, host
