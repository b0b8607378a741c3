-- schedule_once: schedules one task, unless a task has its unique key (migrations/V18__unique_keys.sql). Returns the
-- task, whether this statement has created it, its state, and for how many milliseconds it has been in this state.
-- Parameters and errors are those of schedule.sql.
select task, created, state,
       (extract(epoch from clock_timestamp() - since) * 1000)::bigint as state_ms
  from rework.schedule_once(
           operation => $1, input => $2, domain => $3, host => $4, priority => $5,
           delayed_until => coalesce($6, clock_timestamp() + $7 * interval '1 millisecond'),
           unique_key => $8, metadata => $9::json, capabilities => $10, input_bytes => $11,
           retry => $12::json, after => $13, after_failure => $14,
           unique_while => $15, unique_for => $16 * interval '1 millisecond', on_conflict => $17,
           debounce => $18 * interval '1 millisecond', at_most => $19 * interval '1 millisecond')
