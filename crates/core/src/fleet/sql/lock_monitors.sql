-- lock_monitors: one monitor at a time begins, or takes up domains; held to the end of the transaction
select pg_advisory_xact_lock(hashtextextended('rework.monitor', 0))
