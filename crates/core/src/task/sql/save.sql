-- save: what run $2 (token $3) of task $1 reports under way: progress $4, output $5 (JSON) or $6 (bytes);
-- what is null stays as it is. Nobody waits for a row that somebody else holds.
update rework.task
   set progress = coalesce($4::json, progress),
       output = case when $5::text is null and $6::bytea is null then output else $5::json end,
       output_bytes = case when $5::text is null and $6::bytea is null then output_bytes else $6 end
 where id = (
    select id from rework.task
     where id = $1 and run = $2 and token = $3 and state in ('running', 'aborting')
       for no key update skip locked)
returning id
