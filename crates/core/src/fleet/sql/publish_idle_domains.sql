-- publish_idle_domains: stores that monitor $1 has an idle worker in each of the domains $2. Tasks that are scheduled
-- there are notified.
update rework.monitor set idle_domains = $2 where id = $1 and idle_domains <> $2
returning id
