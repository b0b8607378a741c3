-- notify_ends: requests a notification on the channel `rework_end` for the end of each of the tasks $1. Returns the ids
-- of those that exist, also if they have ended.
with requested as (
    update rework.task
       set notify_end = true
     where task.id = any ($1)
       and not task.notify_end
       and task.state not in ('done', 'failed', 'aborted', 'lost')
)
select task.id from rework.task where task.id = any ($1)
