-- scale_queue: $1 tasks that are ready, one of each operation after the other
with lane as materialized (
    select id, operation, row_number() over (order by id) - 1 as number from rework.lane
)
insert into rework.task (operation, lane, state, input)
select lane.operation, lane.id, 'queued', '{"n": 1}'
  from (select n, n % (select count(*) from lane) as l from generate_series(1, $1::bigint) n) as drawn
  join lane on lane.number = l
 order by n
