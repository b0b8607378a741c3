-- floor_complete: tasks $1 are done, and gave $2
update task t
   set state = 'done', finished_at = clock_timestamp(), output = g.output::json
  from unnest($1::bigint[], $2::text[]) as g (id, output)
 where t.id = g.id
