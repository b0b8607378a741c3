-- mixed_schedule: $1 tasks of 1 ms and, evenly among them, $2 of 2 s
select count(*) from rework.schedule_many('hold', (
    select array_agg(case when n % ($1 / $2) = $1 / $2 / 2 then '2000' else '1' end::json order by n)
      from generate_series(1, $1::integer) n))
