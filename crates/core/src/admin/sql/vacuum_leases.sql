-- vacuum_leases: deletes leases that nobody names. One that was made or renewed within a day may
-- be about to be named.
delete from rework.lease l
 where l.renewed_at < clock_timestamp() - interval '1 day'
   and not exists (select from rework.monitor m where m.lease = l.id)
   and not exists (select from rework.worker w where w.lease = l.id)
