-- resume_scheduled: schedule $1 goes on, first at $2; whether it was paused
with resumed as (
    update rework.schedule set paused_at = null, next_at = $2 where id = $1 and paused_at is not null
    returning id
),
noted as (
    insert into rework.audit (action, subject) select 'resume', 'schedule ' || id from resumed
)
select exists (select from resumed) as changed from rework.schedule where id = $1
