-- claim: ready tasks become runs of worker $1, which lives by lease $2 of epoch $3, on host $4 in domain
-- $5 with capabilities $6. One task is taken, or up to the element of $8 at the index at which $7 names its operation. Of the
-- lanes in $9 only priorities from $10 to $11 and positions from $12 are scanned. If $13 is given and the most urgent task is of
-- another operation, nothing is taken. The runs have token $14.
select task, run, token, attempt, operation, version, placement, revision, input, input_bytes, metadata,
       lane, priority, position
  from rework.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
