-- aged_windows: how many tasks were done in each window of $2 seconds after $1, of $3 windows
select w::integer, count(task.id)
  from generate_series(0, $3::integer - 1) w
  left join rework.task on finished_at >= $1::timestamptz + w * $2::integer * interval '1 second'
   and finished_at < $1::timestamptz + (w + 1) * $2::integer * interval '1 second'
 group by w order by w
