-- complete: records the ends of runs, each at one index of the arrays $1 to $13; no run of them started before $14
select task, run, state, started_at
  from rework.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
