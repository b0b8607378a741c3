-- finish_monitor: monitor $1 has ended, because of $2; its lease
update rework.monitor set finished_at = clock_timestamp(), reason = $2, wants = '{}'
 where id = $1 and finished_at is null
returning lease
