-- vacuum_leases: deletes leases that no monitor and no worker refers to. A lease that was renewed within the last day
-- is kept, because its holder, the process that renews it, may be about to register.
delete from rework.lease l
 where l.renewed_at < clock_timestamp() - interval '1 day'
   and not exists (select from rework.monitor m where m.lease = l.id)
   and not exists (select from rework.worker w where w.lease = l.id)
