-- vacuum_workers: deletes workers of domain $1 (null: all domains) that finished at least $2 milliseconds ago, unless a
-- running task still refers to them. Returns how many were deleted.
with deleted as (
    delete from rework.worker w
     where w.finished_at <= clock_timestamp() - $2 * interval '1 millisecond'
       and ($1::text is null or w.domain = $1)
       and not exists (select from rework.task t
                        where t.worker = w.id and t.state in ('running', 'aborting'))
    returning w.id
)
select count(*) as deleted from deleted
