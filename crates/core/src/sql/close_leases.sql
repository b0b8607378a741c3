-- close_leases: leases whose holders are all in the books as dead, and that for so long that no claim of theirs
-- can come to light any more, are not swept again
update rework.lease set swept_at = clock_timestamp()
 where taken_at < now() - interval '5 minutes' and taken_at is not null and swept_at is null
   and not exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
   and not exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
   and not exists (select from rework.worker w
                     join rework.task t on t.worker = w.id and t.state in ('running', 'aborting')
                    where w.lease = lease.id)
