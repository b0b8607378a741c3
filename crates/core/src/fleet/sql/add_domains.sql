-- add_domains: adds to the domains of monitor $1 on host $2 those of $3 that no other monitor of the host serves.
-- Returns all domains that the monitor serves now.
update rework.monitor
   set domains = array(
       select wanted from unnest(domains || $3) as wanted
        where wanted = any (monitor.domains)
           or not exists (select from rework.monitor as other
                           where other.host = $2 and other.finished_at is null
                             and other.id <> $1 and wanted = any (other.domains))
        group by wanted order by wanted)
 where id = $1
returning domains
