-- resume_scheduled: resumes schedule $1, sets its next due time to $2 (null: never again), and returns whether it was
-- paused. No row if there is no such schedule.
with resumed as (
    update rework.schedule set paused_at = null, next_at = $2 where id = $1 and paused_at is not null
    returning id
),
audited as (
    insert into rework.audit (action, subject) select 'resume', 'schedule ' || id from resumed
)
select exists (select from resumed) as changed from rework.schedule where id = $1
