-- monitor_poll: sends what a monitor has measured, and returns everything that the monitor has to react to. The
-- function is in migrations/V17__monitor_poll.sql.
--
-- $1 monitor, $2 its lease, $3 the epoch of the lease that the monitor knows (a number that changes when the lease is
-- taken away), $4 whether to renew the lease, $5 domains with an idle worker (null: unchanged), $6 workers, $7 to $9
-- measured workers with their memory in bytes and their processor use in percent, $10 workers that died recently, $11
-- host, $12 capabilities, $13 domains in which to count ready tasks and $14 the number up to which to count in each,
-- $15 domains that the monitor serves, to find others (null: do not search), $16 whether to return all running tasks as
-- aborts, $17 domains whose schedules the monitor fires, $18 whether to return leases to observe
select * from rework.monitor_poll($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
