-- begin: the code of run $2 (token $3) of task $1 began $4 milliseconds ago, though not before $6, in
-- revision $5. Nobody waits for a row that somebody else holds: it is told with the end again.
update rework.task
   set started_at = greatest(clock_timestamp() - $4 * interval '1 millisecond', $6::timestamptz + interval '1 microsecond'), revision = $5
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       for no key update skip locked)
returning started_at
