-- exchange: records the ends of runs, then claims ready tasks. $1 to $14 are the parameters of complete.sql, $15 to $29
-- those of claim.sql. The rows about ends come first and have a state; in the rows of claimed tasks the state is null.
-- Fails if another transaction holds one of the ended tasks for longer than 500 ms.
select task, run, null::uuid as token, null::integer as attempt, null::bigint as operation, null::bigint as version,
       null::bigint as placement, null::integer as revision, null as input, null::bytea as input_bytes,
       null as metadata, null::integer as lane, null::smallint as priority, null::bigint as position, state, started_at
  from rework.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
 union all
select task, run, token, attempt, operation, version, placement, revision, input, input_bytes, metadata,
       lane, priority, position, null, null
  from rework.claim($15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)
