-- vacuum_placements: placements of hosts that have had no monitor for a day. What is registered there
-- again is placed again; operations stay, and so does all that is known of their tasks.
delete from rework.placement p
 where p.registered_at < now() - interval '1 day'
   and not exists (select from rework.monitor m
                     join rework.lease l on l.id = m.lease
                    where m.host = p.host
                      and (m.finished_at is null or m.finished_at > now() - interval '1 day')
                      and greatest(l.renewed_at, m.started_at) > now() - interval '1 day')
returning p.host
