-- record_unkillable: records the reason $4, because processes of run $2 with token $3 of task $1 cannot be killed.
-- A row that another session has locked is skipped: the caller tries again.
update rework.task set reason = $4
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       and reason is distinct from $4
       for no key update skip locked)
returning id
