-- count_log_lines: counts the lines of run $2 of task $1 in the log.
select count(*) from rework.log where task = $1 and run = $2
