-- take_lease: lease $1 is taken away, if nothing has moved since it was seen with epoch $2 and renewals $3
update rework.lease set epoch = epoch + 1, taken_at = clock_timestamp()
 where id = $1 and epoch = $2 and renewals = $3 and taken_at is null
returning id
