-- stored_lines: how many lines of run $2 of task $1 are in the log
select count(*) from rework.log where task = $1 and run = $2
