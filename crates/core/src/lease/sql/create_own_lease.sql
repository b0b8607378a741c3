-- create_own_lease: creates a lease for worker $1, which depends on the lease $2 so far, and makes the worker depend on
-- the new one. The new lease has the length of lease $2, and $4 is its first epoch. $3 is the epoch of lease $2, a
-- number that changes when it is taken away. No row if lease $2 was taken away, or if the worker has ended or does not
-- exist (after a failover that has lost its row): then the runs of the worker are lost too.
--
-- The subquery `guard` locks lease $2, so that it cannot be taken away at the same time.
with guard as materialized (
    select id, length_ms from rework.lease
     where id = $2 and epoch = $3 and taken_at is null
       and exists (select from rework.worker where worker.id = $1 and worker.finished_at is null)
       for no key update
),
own as (
    insert into rework.lease (holder, length_ms, epoch)
    select 'worker ' || $1::bigint, length_ms, $4 from guard
    returning id, epoch
),
moved as (
    update rework.worker set lease = own.id from own where worker.id = $1
)
select id, epoch from own
