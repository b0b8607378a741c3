-- pause_scheduled: schedule $1 makes no tasks; whether it did before
with paused as (
    update rework.schedule set paused_at = clock_timestamp() where id = $1 and paused_at is null
    returning id
),
noted as (
    insert into rework.audit (action, subject) select 'pause', 'schedule ' || id from paused
)
select exists (select from paused) as changed from rework.schedule where id = $1
