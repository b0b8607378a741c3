-- adopt_lease: worker $1 makes a lease of its own, guarded by the one that it lived by ($2, of epoch
-- $3) and as long: where that was taken away, so were its runs, and there is no row.
with guard as materialized (
    select id, length_ms from rework.lease where id = $2 and epoch = $3 and taken_at is null for no key update
),
own as (
    insert into rework.lease (holder, length_ms)
    select 'worker ' || $1::bigint, length_ms from guard
    returning id, epoch
),
moved as (
    update rework.worker set lease = own.id from own where worker.id = $1
)
select id, epoch from own
