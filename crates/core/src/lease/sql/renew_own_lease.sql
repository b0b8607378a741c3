-- renew_own_lease: renews lease $1 of a worker without a monitor, if the lease still has epoch $2, a number that
-- changes when the lease is taken away. Returns the reason if the abort of its task $3 in run $4 was requested; $3 and
-- $4 are null if the worker has no run. No row if the lease was taken away.
with renewed as (
    update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
     where id = $1 and epoch = $2
    returning id
)
select (select task.reason from rework.task
         where task.id = $3 and task.run = $4 and task.state = 'aborting') as abort_reason
  from renewed
