-- ask_worker: worker $1 is to $2 (`shutdown` or `kill`); who is to be killed is not let off with less.
-- No row: it is not alive.
with asked as (
    update rework.worker
       set asked = case when worker.asked = 'kill' then 'kill' else $2 end
     where worker.id = $1 and worker.finished_at is null
    returning worker.id
)
select pg_notify('rework', 'worker')::text from asked
