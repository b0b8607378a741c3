-- reopen_leases: somebody was written into the books late, by a lease that was closed: it is watched again
update rework.lease set swept_at = null
 where taken_at is null and swept_at is not null
   and exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
