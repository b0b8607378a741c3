-- take_domains: monitor $1 on host $2 serves those of the domains $3 too that no other monitor of the
-- host serves, and answers all that it serves
update rework.monitor
   set domains = array(
       select wished from unnest(domains || $3) as wished
        where wished = any (monitor.domains)
           or not exists (select from rework.monitor as other
                           where other.host = $2 and other.finished_at is null
                             and other.id <> $1 and wished = any (other.domains))
        group by wished order by wished)
 where id = $1
returning domains
