-- last_line: the id of the last line of task $1; 0 where there is none
select coalesce(max(log.id), 0) as last from rework.log where log.task = $1
