-- list_steps: returns at most $3 steps and gates of flow $1 whose numbers are greater than $2, in the order of their
-- numbers. Their tasks are JSON, null if there is none.
select s.number, s.name, s.scope, s.kind, o.domain || '/' || o.name as operation, u.domain || '/' || u.name as revert,
       s.before, s.after, s.state,
       (select json_build_object('id', t.id, 'state', t.state, 'host', t.ran_on, 'started_at', t.started_at,
                                 'finished_at', t.finished_at, 'reason', t.reason, 'progress', t.progress)
          from rework.task t where t.id = s.task)::text as task,
       (select json_build_object('id', t.id, 'state', t.state, 'host', t.ran_on, 'started_at', t.started_at,
                                 'finished_at', t.finished_at, 'reason', t.reason, 'progress', t.progress)
          from rework.task t where t.id = s.undo_task)::text as undo_task
  from rework.step s
  left join rework.operation o on o.id = s.operation
  left join rework.operation u on u.id = s.undo_operation
 where s.flow = $1 and s.number > $2
 order by s.number
 limit $3
