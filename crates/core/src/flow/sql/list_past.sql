-- list_past: returns at most $3 rows of flow $1 about earlier rounds, and from before a retry, whose ids are less than $2,
-- newest first. Their tasks are JSON, null if there is none.
select p.id, p.step, p.scope, p.round, p.state,
       (select json_build_object('id', t.id, 'state', t.state, 'host', t.ran_on, 'started_at', t.started_at,
                                 'finished_at', t.finished_at, 'reason', t.reason, 'progress', t.progress)
          from rework.task t where t.id = p.task)::text as task,
       (select json_build_object('id', t.id, 'state', t.state, 'host', t.ran_on, 'started_at', t.started_at,
                                 'finished_at', t.finished_at, 'reason', t.reason, 'progress', t.progress)
          from rework.task t where t.id = p.undo_task)::text as undo_task
  from rework.past p
 where p.flow = $1 and p.id < $2
 order by p.id desc
 limit $3
