-- bare_complete: records that task $1 is done, with the output $2.
update task set state = 'done', finished_at = clock_timestamp(), output = $2::text::json where id = $1
