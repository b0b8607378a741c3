-- vacuum_monitors: deletes monitors that served domain $1 (null: any domain), that finished at least $2 milliseconds
-- ago and have no row in `worker` any more.
delete from rework.monitor m
 where m.finished_at <= clock_timestamp() - $2 * interval '1 millisecond'
   and ($1::text is null or $1 = any (m.domains))
   and not exists (select from rework.worker w where w.monitor = m.id)
