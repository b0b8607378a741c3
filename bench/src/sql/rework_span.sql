-- rework_span: how many were done after $1, and seconds from then to the last one
select count(*), extract(epoch from max(finished_at) - $1::timestamptz)::float8
  from rework.task
 where state = 'done' and queued_at <= $1 and finished_at > $1
