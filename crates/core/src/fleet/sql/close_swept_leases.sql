-- close_swept_leases: closes leases that were taken away and of which everything is recorded (no monitor, worker or run
-- depends on them), so that the next sweep, which records what a lost host has left, skips them. A lease is closed five
-- minutes after it was taken away at the earliest, because a claim that a worker sent before its death may be committed
-- late.
update rework.lease set swept_at = clock_timestamp()
 where taken_at is not null and swept_at is null and taken_at < now() - interval '5 minutes'
   and not exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
   and not exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
   and not exists (select from rework.worker w
                     join rework.task t on t.worker = w.id and t.state in ('running', 'aborting')
                    where w.lease = lease.id)
