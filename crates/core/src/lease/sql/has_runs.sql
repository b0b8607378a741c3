-- has_runs: returns whether the database has the claims of the runs $2 of tasks $1 with tokens $3, and the end of run
-- $5 of task $4 with token $6 (null: of none). After a failover it may have lost them.
select not exists (
           select from unnest($1::bigint[], $2::bigint[], $3::uuid[]) as open (task, run, token)
            where not exists (select from rework.task
                               where task.id = open.task and task.run = open.run and task.token = open.token))
       and not exists (
           select from rework.task
            where task.id = $4 and task.run = $5 and task.token = $6 and task.state in ('running', 'aborting'))
       as has_runs
