-- claim: makes ready tasks runs of worker $1 with lease $2, on host $4 in domain $5 with capabilities $6. Nothing is
-- claimed unless the lease has epoch $3, a number that changes when the lease is taken away. One task is claimed, or up
-- to $8[n] tasks of the operation $7[n]. Of lane $9[n], the tasks that need the same of a host, only priorities $10[n]
-- to $11[n] and positions from $12[n] are scanned. If $13 is not null, and the most urgent task is of another
-- operation, nothing is claimed. $14 is the token of the new runs. Tasks of the operations $15 are not claimed: the
-- host cannot start them now, or they are paused. The function is in migrations/V13__claim.sql.
select task, run, token, attempt, operation, version, placement, revision, input, input_bytes, metadata,
       lane, priority, position
  from rework.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
