-- last_line: returns the number of the last line of task $1, or 0 if it has none.
select coalesce(max(log.id), 0) as last from rework.log where log.task = $1
