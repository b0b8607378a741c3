-- lock_operation_registration: takes a lock until the end of the transaction, so that registrations happen one after
-- the other.
select pg_advisory_xact_lock(hashtext('rework.register'))
