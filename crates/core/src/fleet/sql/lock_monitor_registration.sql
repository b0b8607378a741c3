-- lock_monitor_registration: takes a lock until the end of the transaction. Only one monitor at a time is registered or
-- adds domains, so that two monitors cannot take the same domain.
select pg_advisory_xact_lock(hashtextextended('rework.monitor', 0))
