-- publish_idle_domains: stores that monitor $1 has an idle worker in each of the domains $2. Only the domains that a
-- monitor has stored so are notified: when a task is scheduled there, the monitors receive a notification.
update rework.monitor set idle_domains = $2 where id = $1 and idle_domains <> $2
returning id
