-- close_leases: leases by which nobody lives any more, and that nobody took away: $1, or, where it is null,
-- all that were not renewed for five minutes. They need not be watched.
update rework.lease set swept_at = clock_timestamp()
 where taken_at is null and swept_at is null
   and (id = $1 or $1 is null and renewed_at < now() - interval '5 minutes')
   and not exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
   and not exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
