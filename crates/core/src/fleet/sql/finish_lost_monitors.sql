-- finish_lost_monitors: records with reason $1 the ends of monitors whose lease was taken away. Returns the monitors
-- with their hosts.
update rework.monitor set finished_at = clock_timestamp(), reason = $1, idle_domains = '{}'
 where finished_at is null
   and lease in (select id from rework.lease where taken_at is not null and swept_at is null)
returning id, host
