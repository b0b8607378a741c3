-- register_lock: registrations are made one after the other, to the end of the transaction.
select pg_advisory_xact_lock(hashtext('rework.register'))
