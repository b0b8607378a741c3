-- renew_own_lease: renews lease $1 of a worker without a monitor, if the lease still has epoch $2, a number that
-- changes when the lease is taken away. It is not renewed if it has fewer renewals than $5: then the database has gone
-- back to an earlier state. Returns the number of renewals; the reason if the abort of its task $3 in run $4 was
-- requested ($3 and $4 are null if the worker has no run); and the id of a recovery of the server after which the
-- worker has to compare its runs with the database (null: none). No row if the lease was taken away.
with renewed as (
    update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
     where id = $1 and epoch = $2 and renewals >= $5
    returning renewals
),
present as (
    select renewals from renewed
     union all
    select renewals from rework.lease where id = $1 and epoch = $2 and renewals < $5
)
select present.renewals,
       (select task.reason from rework.task
         where task.id = $3 and task.run = $4 and task.state = 'aborting') as abort_reason,
       (select recovery.id from rework.recovery where not recovery.is_over) as recovery
  from present
