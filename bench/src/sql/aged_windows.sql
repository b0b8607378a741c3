-- aged_windows: counts the tasks that ended in each of $3 windows. A window lasts $2 s; the first one starts at $1.
select number::integer, count(task.id)
  from generate_series(0, $3::integer - 1) as number
  left join rework.task on finished_at >= $1::timestamptz + number * $2::integer * interval '1 second'
   and finished_at < $1::timestamptz + (number + 1) * $2::integer * interval '1 second'
 group by number order by number
