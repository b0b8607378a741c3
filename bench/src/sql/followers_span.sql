-- followers_span: counts the done tasks that ended after $1, and those that follow them, which were scheduled after $1.
-- Also returns the seconds from $1 to the end of the last one (null if there is none).
select count(*), extract(epoch from max(finished_at) - $1::timestamptz)::float8
  from rework.task
 where state = 'done' and finished_at > $1
