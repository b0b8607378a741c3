-- record_start: records that the code of run $2 with token $3 of task $1 started $4 milliseconds ago, in revision $5.
-- The start is later than $6, so that the runs of one worker stay in order. Returns the start.
-- A row that another session has locked is skipped: the start is recorded with the end too, so waiting is not worth it.
update rework.task
   set started_at = greatest(clock_timestamp() - $4 * interval '1 millisecond',
                             $6::timestamptz + interval '1 microsecond'),
       revision = $5
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       for no key update skip locked)
returning started_at
