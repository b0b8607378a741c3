-- take_lease: takes lease $1 away if it still has epoch $2 and renewals $3. This increments the epoch, so that the
-- process that depended on the lease can renew it no more. Returns the id of the lease; no row if it has changed or was
-- taken away already.
update rework.lease set epoch = epoch + 1, taken_at = clock_timestamp()
 where id = $1 and epoch = $2 and renewals = $3 and taken_at is null
returning id
