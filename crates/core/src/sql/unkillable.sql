-- unkillable: processes of run $2 (token $3) of task $1 do not die: $4
update rework.task set reason = $4
 where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting') and reason is distinct from $4
returning id
