-- rework_span: counts the done tasks that were scheduled before $1 and ended after it. Also returns
-- the seconds from $1 to the end of the last one (null if there is none).
select count(*), extract(epoch from max(finished_at) - $1::timestamptz)::float8
  from rework.task
 where state = 'done' and queued_at <= $1 and finished_at > $1
