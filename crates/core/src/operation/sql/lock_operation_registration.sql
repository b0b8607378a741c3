-- lock_operation_registration: takes a lock until the end of the transaction, so that registrations happen one after
-- the other. Returns one row.
select name from rework.lock where name = 'operations' for update
