-- monitor_poll: sends what a monitor has measured, and returns everything that the monitor has to react to. The
-- function is in migrations/V17__monitor_poll.sql.
--
-- $1 monitor, $2 its lease, $3 the epoch of the lease that the monitor knows (a number that changes when the lease is
-- taken away), $4 the number of renewals that the monitor knows to be stored, $5 whether to renew the lease, $6 the
-- recovery of the server after which the monitor has checked its runs (null: none), $7 domains with an idle worker
-- (null: unchanged), $8 workers, $9 to $11 measured workers with their memory in bytes and their processor use in
-- percent, $12 workers that died recently, $13 host, $14 capabilities, $15 domains in which to count ready tasks and
-- $16 the number up to which to count in each, $17 domains that the monitor serves, to find others (null: do not search),
-- $18 whether to return all running tasks as aborts, $19 domains whose schedules the monitor fires, $20 whether to
-- return leases to observe
select * from rework.monitor_poll($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                                  $20)
