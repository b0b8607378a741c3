-- watch_tasks: somebody waits for the end of tasks $1: it is to be notified. Answers those that exist.
with watched as (
    update rework.task
       set watched = true
     where task.id = any ($1)
       and not task.watched
       and task.state not in ('done', 'failed', 'aborted', 'lost')
)
select task.id from rework.task where task.id = any ($1)
