-- notify_task_end: requests a notification on the channel `rework_end` for the end of task `:task`. Returns the id of
-- the task if the request was new. Changes nothing if the task has ended or the request was made before.
update rework.task
   set notify_end = true
 where id = cast(:task as bigint)
   and not notify_end
   and state not in ('done', 'failed', 'aborted', 'lost')
returning id
