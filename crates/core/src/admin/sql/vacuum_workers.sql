-- vacuum_workers: deletes finished workers that no live task names
--
-- $1 domain (null: all), $2 at least so many milliseconds old
with gone as (
    delete from rework.worker w
     where w.finished_at <= clock_timestamp() - $2 * interval '1 millisecond'
       and ($1::text is null or w.domain = $1)
       and not exists (select from rework.task t
                        where t.worker = w.id and t.state in ('running', 'aborting'))
    returning w.id
)
select count(*) as deleted from gone
