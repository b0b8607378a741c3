-- last_line: returns the id of the last row in the log of task $1, or 0 if it has none.
select coalesce(max(log.id), 0) as last from rework.log where log.task = $1
