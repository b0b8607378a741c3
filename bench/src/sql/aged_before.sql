-- aged_before: what stands in the way: $1 tasks that are done, and $2 that are ready, of an operation
-- that nobody here runs
with elsewhere as (
    insert into rework.operation (domain, name)
    select domain, 'elsewhere' from rework.operation where name = 'noop'
    returning id, domain
),
theirs as (
    insert into rework.lane (domain, operation) select domain, id from elsewhere returning id, operation
),
done as (
    insert into rework.task (operation, lane, state, input, output, started_at, finished_at, run, attempt)
    select lane.operation, lane.id, 'done', '{"n": 1}', '1', now(), now(), 1, 1
      from rework.lane join rework.operation on operation.id = lane.operation and operation.name = 'noop',
           generate_series(1, $1::bigint)
)
insert into rework.task (operation, lane, state, input)
select operation, id, 'queued', '{"n": 1}' from theirs, generate_series(1, $2::bigint)
