-- aged_fill: fills the table with $1 tasks of `noop` that are done, and with $2 ready tasks of an operation that no
-- host runs.
with elsewhere as (
    insert into rework.operation (domain, name)
    select domain, 'elsewhere' from rework.operation where name = 'noop'
    returning id, domain
),
elsewhere_lane as (
    insert into rework.lane (domain, operation) select domain, id from elsewhere returning id, operation
),
done as (
    insert into rework.task (operation, lane, state, input, output, started_at, finished_at, run, attempt)
    select lane.operation, lane.id, 'done', '{"n": 1}', '1', now(), now(), 1, 1
      from rework.lane join rework.operation on operation.id = lane.operation and operation.name = 'noop',
           generate_series(1, $1::bigint)
)
insert into rework.task (operation, lane, state, input)
select operation, id, 'queued', '{"n": 1}' from elsewhere_lane, generate_series(1, $2::bigint)
