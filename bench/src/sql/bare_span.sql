-- bare_span: how many are done, and seconds from $1 to the last one
select count(*), extract(epoch from max(finished_at) - $1::timestamptz)::float8
  from task
 where state = 'done'
