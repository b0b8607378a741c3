-- begin: the code of run $2 (token $3) of task $1 began $4 milliseconds ago, in revision $5
update rework.task
   set started_at = clock_timestamp() - $4 * interval '1 millisecond', revision = $5
 where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
returning id
