-- lock_monitor_registration: takes a lock until the end of the transaction. Only one monitor at a time is registered or
-- adds domains, so that two monitors cannot take the same domain. Returns one row.
select name from rework.lock where name = 'monitors' for update
