-- reopen_leases: reopens closed leases that an unfinished worker refers to, so that they are observed again. This
-- happens when a worker was registered after its lease had been closed.
update rework.lease set swept_at = null
 where taken_at is null and swept_at is not null
   and exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
