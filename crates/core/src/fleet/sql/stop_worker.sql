-- stop_worker: stores the request $2 (`shutdown` or `kill`) for worker $1. A request to kill is not replaced by a
-- weaker one. No row if the worker has ended or does not exist.
with requested as (
    update rework.worker
       set requested = case when worker.requested = 'kill' then 'kill' else $2 end
     where worker.id = $1 and worker.finished_at is null
    returning worker.id
)
select pg_notify('rework', 'worker')::text from requested
