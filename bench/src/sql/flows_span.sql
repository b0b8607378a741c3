-- flows_span: counts the done tasks of steps that ended after $1. Also returns the seconds from $1 to the end of the
-- last flow (null if there is none).
select count(*) filter (where flow is not null), extract(epoch from max(finished_at) - $1::timestamptz)::float8
  from rework.task
 where state = 'done' and finished_at > $1
