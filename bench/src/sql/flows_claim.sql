-- flows_claim: claims the tasks of the started steps $2 to $3 of flow $1; if $2 is null, the task of the flow itself.
-- Returns the fence of each run. The tasks are found by their ids: `state || ''` hides the column from the planner,
-- which would otherwise scan an index of all queued tasks.
update rework.task t
   set state = 'running', run = t.run + 1, attempt = t.attempt + 1, token = gen_random_uuid(), worker = 1,
       ran_on = 'bench', reason = null
 where t.id = any (array(select $1::bigint where $2::integer is null
                         union all
                         select s.task from rework.step s
                          where s.flow = $1 and s.number between $2 and $3::integer and s.state = 'started'))
   and t.state || '' = 'queued'
returning t.id, t.run, t.token
