-- leave: worker $1 has ended by itself, because of $2; its lease too, where nobody else lives by it
with finished as (
    update rework.worker set finished_at = clock_timestamp(), reason = $2
     where id = $1 and finished_at is null
    returning id, lease
),
closed as (
    update rework.lease set swept_at = clock_timestamp()
      from finished
     where lease.id = finished.lease and taken_at is null
       and not exists (select from rework.monitor m where m.lease = lease.id and m.finished_at is null)
       and not exists (select from rework.worker w
                        where w.lease = lease.id and w.finished_at is null and w.id <> finished.id)
)
select id from finished
