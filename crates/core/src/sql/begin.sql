-- begin: the code of run $2 (token $3) of task $1 began $4 milliseconds ago, in revision $5. Nobody waits for
-- a row that somebody else holds: it is told with the end again.
update rework.task
   set started_at = clock_timestamp() - $4 * interval '1 millisecond', revision = $5
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       for no key update skip locked)
returning id
