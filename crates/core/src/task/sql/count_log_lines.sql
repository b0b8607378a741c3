-- count_log_lines: counts the rows of run $2 of task $1 in the log. Each of them is a line or a piece of a line.
select count(*) from rework.log where task = $1 and run = $2
