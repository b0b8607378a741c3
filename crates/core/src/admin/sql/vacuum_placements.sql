-- vacuum_placements: deletes the placements (the records that a host can run an operation) of hosts that have had no
-- running monitor for a day, and returns the hosts. Operations and tasks stay. If an operation is registered on such a
-- host again, its placement is created again.
delete from rework.placement p
 where p.registered_at < now() - interval '1 day'
   and not exists (select from rework.monitor m
                     join rework.lease l on l.id = m.lease
                    where m.host = p.host
                      and (m.finished_at is null or m.finished_at > now() - interval '1 day')
                      and greatest(l.renewed_at, m.started_at) > now() - interval '1 day')
returning p.host
