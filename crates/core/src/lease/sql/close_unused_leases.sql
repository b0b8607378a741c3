-- close_unused_leases: closes leases that no monitor and no worker depends on and that were not taken away, so that
-- they are not observed any more: lease $1 or, if $1 is null, all leases that were not renewed for five minutes.
update rework.lease set swept_at = clock_timestamp()
 where taken_at is null and swept_at is null
   and (id = $1 or $1 is null and renewed_at < now() - interval '5 minutes')
   and not exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
   and not exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
