-- bare_span: counts the tasks that are done. Also returns the seconds from $1 to the end of the
-- last one (null if there is none).
select count(*), extract(epoch from max(finished_at) - $1::timestamptz)::float8
  from task
 where state = 'done'
