-- mixed_schedule: schedules $1 tasks of `hold`. Of them $2 take 2 s, at equal distances; all others take 1 ms. Raises
-- RW404 if `hold` is not registered.
select count(*) from rework.schedule_many('hold', (
    select array_agg(case when n % ($1 / $2) = $1 / $2 / 2 then '2000' else '1' end::json order by n)
      from generate_series(1, $1::integer) n))
