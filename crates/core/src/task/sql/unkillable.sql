-- unkillable: processes of run $2 (token $3) of task $1 do not die: $4. Nobody waits for a row that
-- somebody else holds: it is said again.
update rework.task set reason = $4
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       and reason is distinct from $4
       for no key update skip locked)
returning id
