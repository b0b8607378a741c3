-- watch_task: somebody waits for the end of a task: it is to be notified
update rework.task
   set watched = true
 where id = cast(:task as bigint)
   and not watched
   and state not in ('done', 'failed', 'aborted', 'lost')
returning id
