-- turn: runs end, and then ready tasks become runs: $1 to $15 as in `complete`, $16 to $29 as in `claim`. What
-- was ended comes first, and has a state.
select task, run, null::uuid, null::integer, null::bigint, null::bigint, null::bigint, null::integer, null, null::bytea,
       null, null::integer, null::smallint, null::bigint, null::tid, state, started_at
  from rework.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
 union all
select task, run, token, attempt, operation, version, placement, revision, input, input_bytes,
       metadata, lane, priority, position, row, null, null
  from rework.claim($16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)
