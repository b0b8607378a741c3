-- scale_tasks: $1 tasks that are done, and $2 that run, spread over all workers and operations
with lane as materialized (
    select id, operation, row_number() over (order by id) - 1 as number from rework.lane
),
worker as materialized (
    select id, host, row_number() over (order by id) - 1 as number from rework.worker
),
total as materialized (
    select (select count(*) from lane) as lanes, (select count(*) from worker) as workers
),
done as (
    insert into rework.task (operation, lane, state, input, output, worker, ran_on, started_at, finished_at, run, attempt)
    select lane.operation, lane.id, 'done', '{"n": 1}', '1', worker.id, worker.host, now(), now(), 1, 1
      from (select n % lanes as l, n % workers as w from total, generate_series(1, $1::bigint) n) as drawn
      join lane on lane.number = l
      join worker on worker.number = w
)
insert into rework.task (operation, lane, state, input, worker, ran_on, token, run, attempt, started_at)
select lane.operation, lane.id, 'running', '{"n": 1}', worker.id, worker.host, gen_random_uuid(), 1, 1, now()
  from (select n % lanes as l, n % workers as w from total, generate_series(1, $2::bigint) n) as drawn
  join lane on lane.number = l
  join worker on worker.number = w
