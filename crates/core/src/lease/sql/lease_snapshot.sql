-- lease_snapshot: returns the epoch of lease $1 (a number that changes when the lease is taken away), the number of its
-- renewals and its length. No row if there is no such lease, or if it was taken away.
--
-- The row is locked so that a standby refuses this statement: the lease on a standby may be older than that of the
-- primary, which its holder renews.
select epoch, renewals, length_ms from rework.lease where id = $1 and taken_at is null for key share
