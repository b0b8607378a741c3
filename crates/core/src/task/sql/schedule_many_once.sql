-- schedule_many_once: schedules tasks of one operation, each unless a task has its unique key
-- (migrations/V23__schedule_many.sql). Returns a row for each input, in their order, with the columns of
-- schedule_once.sql. Raises the errors of schedule.sql, and RW400 if there are not as many keys as inputs.
--
-- $1 operation, $2 inputs as JSON, $3 domain, $4 host, $5 priority, $6 ready at, $7 delay until ready in milliseconds,
-- $8 metadata, $9 capabilities, $10 inputs as bytes, null if no input is bytes, $11 unique keys, $12 to $19 as in
-- schedule.sql
select task, created, state,
       (extract(epoch from clock_timestamp() - since) * 1000)::bigint as state_ms
  from rework.schedule_many_once(
           operation => $1, inputs => $2, domain => $3, host => $4, priority => $5,
           delayed_until => coalesce($6, clock_timestamp() + $7 * interval '1 millisecond'),
           metadata => $8::json, capabilities => $9, inputs_bytes => $10, unique_keys => $11,
           retry => $12::json, after => $13, after_failure => $14,
           unique_while => $15, unique_for => $16 * interval '1 millisecond', on_conflict => $17,
           debounce => $18 * interval '1 millisecond', at_most => $19 * interval '1 millisecond')
