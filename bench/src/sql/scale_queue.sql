-- scale_queue: inserts $1 ready tasks, distributed evenly over the operations. Consecutive tasks
-- belong to different operations.
with lane as materialized (
    select id, operation, row_number() over (order by id) - 1 as number from rework.lane
)
insert into rework.task (operation, lane, state, input)
select lane.operation, lane.id, 'queued', '{"n": 1}'
  from (select n, n % (select count(*) from lane) as lane_number from generate_series(1, $1::bigint) n) as new_task
  join lane on lane.number = lane_number
 order by n
