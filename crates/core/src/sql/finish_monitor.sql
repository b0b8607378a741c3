-- finish_monitor: monitor $1 has ended, because of $2; its lease too, where no worker lives by it
with finished as (
    update rework.monitor set finished_at = clock_timestamp(), reason = $2, wants = '{}'
     where id = $1 and finished_at is null
    returning id, lease
),
closed as (
    update rework.lease set swept_at = clock_timestamp()
      from finished
     where lease.id = finished.lease and taken_at is null
       and not exists (select from rework.worker w where w.lease = lease.id and w.finished_at is null)
)
select id from finished
