-- save_progress: saves for run $2 with token $3 of task $1 its progress $4 and its output, as JSON $5 or as bytes $6.
-- Values that are null stay as they are.
-- A row that another session has locked is skipped, because the run must not wait.
update rework.task
   set progress = coalesce($4::json, progress),
       output = case when $5::text is null and $6::bytea is null then output else $5::json end,
       output_bytes = case when $5::text is null and $6::bytea is null then output_bytes else $6 end
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       for no key update skip locked)
returning id
