-- bare_complete: task $1 is done, and gave $2
update task set state = 'done', finished_at = clock_timestamp(), output = $2::text::json where id = $1
