-- baseline_complete: records that the tasks $1 are done, with the outputs $2.
update task
   set state = 'done', finished_at = clock_timestamp(), output = ended.output::json
  from unnest($1::bigint[], $2::text[]) as ended (id, output)
 where task.id = ended.id
