-- renew_own: a worker without a monitor renews its lease $1 (epoch $2), and looks whether its task
-- $3 (or none), run $4, is to end. No row: the lease was taken away.
with renewed as (
    update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
     where id = $1 and epoch = $2
    returning id
)
select (select task.reason from rework.task
         where task.id = $3 and task.run = $4 and task.state = 'aborting') as asked
  from renewed
