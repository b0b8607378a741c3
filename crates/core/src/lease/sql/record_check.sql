-- record_check: records that the holder of lease $1 has compared its runs with the database after the recovery $2 of
-- the server. With nulls it only notices a recovery.
select rework.continue_recovery($1, $2)::text
