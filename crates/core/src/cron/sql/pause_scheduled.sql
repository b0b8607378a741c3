-- pause_scheduled: pauses schedule $1, and returns whether that changed it. No row if there is no such schedule.
with paused as (
    update rework.schedule set paused_at = clock_timestamp() where id = $1 and paused_at is null
    returning id
),
audited as (
    insert into rework.audit (action, subject) select 'pause', 'schedule ' || id from paused
)
select exists (select from paused) as changed from rework.schedule where id = $1
