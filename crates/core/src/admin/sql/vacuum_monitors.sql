-- vacuum_monitors: deletes finished monitors that have no worker left
--
-- $1 domain (null: all), $2 at least so many milliseconds old
delete from rework.monitor m
 where m.finished_at <= clock_timestamp() - $2 * interval '1 millisecond'
   and ($1::text is null or $1 = any (m.domains))
   and not exists (select from rework.worker w where w.monitor = m.id)
