-- complete: the ends of runs, all that is known of one at the same place of each array, $15 where its row lies; $14 no
-- run of them began before
select task, run, state, started_at
  from rework.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
