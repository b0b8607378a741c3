-- scale_tasks: inserts $1 tasks that are done, and $2 that are running, spread evenly over all operations and workers.
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
    insert into rework.task (operation, lane, state, input, output, worker, ran_on, started_at, finished_at, run,
                             attempt)
    select lane.operation, lane.id, 'done', '{"n": 1}', '1', worker.id, worker.host, now(), now(), 1, 1
      from (select n % lanes as lane_number, n % workers as worker_number
              from total, generate_series(1, $1::bigint) n) as new_task
      join lane on lane.number = lane_number
      join worker on worker.number = worker_number
)
insert into rework.task (operation, lane, state, input, worker, ran_on, token, run, attempt, started_at)
select lane.operation, lane.id, 'running', '{"n": 1}', worker.id, worker.host, gen_random_uuid(), 1, 1, now()
  from (select n % lanes as lane_number, n % workers as worker_number
          from total, generate_series(1, $2::bigint) n) as new_task
  join lane on lane.number = lane_number
  join worker on worker.number = worker_number
