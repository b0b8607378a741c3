-- claim: ready tasks become runs of worker $1, which lives by lease $2 of epoch $3, on host $4 in domain
-- $5 with capabilities $6: one, or as many as $8 says where its operation is the one at the same place
-- of $7; of lanes $9 only priorities from $10 to $11 and positions from $12 are looked at; none where the first
-- one is not of operation $13, if that is given; by token $14
select task, run, token, attempt, operation, version, placement, revision, input, input_bytes, metadata,
       lane, priority, position, row
  from rework.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
