-- finish_monitor: records when and with which reason $2 monitor $1 ended. Returns its lease; no row if the end was
-- recorded before.
update rework.monitor set finished_at = clock_timestamp(), reason = $2, idle_domains = '{}'
 where id = $1 and finished_at is null
returning lease
