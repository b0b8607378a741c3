-- prepare: operation $1 of domain $2 comes due by rule $3 in zone $4, first at $14; paused where $15. Its
-- tasks: host $5, priority $6, capabilities $7, input $8 or $9, metadata $10. $11 is the input in a form
-- that equal ones share, $12 and $13 are the policies of missed and overlapping instants.
--
-- One that is there already gets a new id, and keeps its ticks, its pause and, in the
-- same zone, what it is due for.
with operation as (
    select o.id, o.priority from rework.operation_named($1, $2) o
),
prepared as (
    insert into rework.schedule as old (operation, rule, zone, host, priority, capabilities, input,
        input_bytes, metadata, fingerprint, missed, overlap, next_at, paused_at)
    select operation.id, $3, $4, $5, coalesce($6, operation.priority), $7, $8::json, $9::bytea, $10::json,
           md5(coalesce('json ' || $11, 'bytes ' || md5($9::bytea), 'none')), $12, $13, $14,
           case when $15 then clock_timestamp() end
      from operation
    on conflict (operation, rule, coalesce(host, ''), fingerprint) do update
       set id = default, zone = excluded.zone, priority = excluded.priority,
           capabilities = excluded.capabilities, input = excluded.input, metadata = excluded.metadata,
           missed = excluded.missed, overlap = excluded.overlap, prepared_at = excluded.prepared_at,
           next_at = case when old.zone = excluded.zone
                          then old.next_at else excluded.next_at end,
           paused_at = coalesce(old.paused_at, excluded.paused_at)
    returning id, case when paused_at is null then next_at end as next_at
),
noted as (
    insert into rework.audit (action, subject, detail)
    select 'prepare', 'schedule ' || id, json_build_object('operation', $1, 'domain', $2, 'rule', $3, 'zone', $4)
      from prepared
)
select id, next_at from prepared
