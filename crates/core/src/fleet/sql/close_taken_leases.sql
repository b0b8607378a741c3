-- close_taken_leases: leases that were taken away, of whose holders nothing is left and nothing can come to
-- light any more. They are not swept again.
update rework.lease set swept_at = clock_timestamp()
 where taken_at is not null and swept_at is null and taken_at < now() - interval '5 minutes'
   and not exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
   and not exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
   and not exists (select from rework.worker w
                     join rework.task t on t.worker = w.id and t.state in ('running', 'aborting')
                    where w.lease = lease.id)
