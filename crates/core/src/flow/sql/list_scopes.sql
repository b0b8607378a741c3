-- list_scopes: returns the scopes of flow $1 that have a step with a number up to $2, and scope 0, in the order of
-- their numbers. `rounds` is the number of rounds that the controller allows, null if that is not known. The task of
-- the controller is JSON.
select s.number, s.outer_scope, s.first, s.last, s.name, s.pattern, s.controller, s.round, s.aim,
       coalesce(s.attempts, case json_typeof(s."values") when 'array' then json_array_length(s."values") end)::bigint
           as rounds,
       (select json_build_object('id', t.id, 'state', t.state, 'host', t.ran_on, 'started_at', t.started_at,
                                 'finished_at', t.finished_at, 'reason', t.reason, 'progress', t.progress)
          from rework.task t where t.id = s.controller_task)::text as controller_task
  from rework.scope s
 where s.flow = $1
   and (s.number = 0 or s.first <= $2)
 order by s.number
