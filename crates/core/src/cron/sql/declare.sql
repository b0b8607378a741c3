-- declare: stores a schedule of operation $1 in domain $2 (null: the only domain that has it), or replaces it. Returns
-- its id and its next due time (null if it is paused). Raises RW404 if the operation is not registered, RW300 if $2 is
-- null and several domains have it, RW413 if a value is too large, and RW400 if a value makes no sense.
--
-- $3 cron rule, $4 time zone, $14 first due time, $15 whether the schedule is paused; of its tasks: $5 host, $6
-- priority, $7 capabilities, $8 JSON input, $9 bytes input, $10 metadata; $11 the JSON input in a canonical form, so
-- that equal inputs have equal text; $12 policy for missed instants, $13 policy for overlapping tasks
--
-- A schedule that exists already gets a new id. It keeps its firings (the records of the instants at which it was due),
-- its pause and, if the zone is the same, its due time.
with operation as (
    select o.id, o.priority from rework.operation_named($1, $2) o
     where rework.check_options($1, $5, null, null, $10::json, $7)
),
declared as (
    insert into rework.schedule as old (operation, rule, zone, host, priority, capabilities, input,
        input_bytes, metadata, fingerprint, missed, overlap, next_at, paused_at)
    select operation.id, $3, $4, $5, coalesce($6, operation.priority), $7, $8::json, $9::bytea, $10::json,
           md5(coalesce('json ' || $11, 'bytes ' || md5($9::bytea), 'none')), $12, $13, $14,
           case when $15 then clock_timestamp() end
      from operation
    on conflict (operation, rule, coalesce(host, ''), fingerprint) do update
       set id = default, zone = excluded.zone, priority = excluded.priority,
           capabilities = excluded.capabilities, input = excluded.input, metadata = excluded.metadata,
           missed = excluded.missed, overlap = excluded.overlap, declared_at = excluded.declared_at,
           next_at = case when old.zone = excluded.zone
                          then old.next_at else excluded.next_at end,
           paused_at = coalesce(old.paused_at, excluded.paused_at)
    returning id, case when paused_at is null then next_at end as next_at
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'prepare', 'schedule ' || id, json_build_object('operation', $1, 'domain', $2, 'rule', $3, 'zone', $4)
      from declared
)
select id, next_at from declared
