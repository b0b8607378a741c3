-- complete: records the ends of runs. Each end is one index of the arrays $1 to $13; $14 is a lower bound for the
-- starts of the runs. Fails if another transaction holds one of the tasks for longer than 500 ms. The function is in
-- migrations/V15__complete.sql.
--
-- $1 tasks, $2 runs, $3 tokens, $4 outcomes, $5 reasons, $6 errors, outputs as JSON $7 or as bytes $8, microseconds
-- since the starts $9 and since the ends $10, $11 memory peaks in bytes, $12 milliseconds until the next attempt, $13
-- revisions
select task, run, state, started_at
  from rework.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
