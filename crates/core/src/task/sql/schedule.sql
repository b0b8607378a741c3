-- schedule: schedules one task with the function that every language calls (migrations/V11__schedule.sql), and returns
-- its id. Raises RW404 if the operation is not registered or a task of $13 does not exist, RW300 if $3 is null and
-- several domains have the operation, RW413 if a value is too large, and RW400 if a value makes no sense.
--
-- $1 operation, $2 input as JSON, $3 domain, $4 host, $5 priority, $6 ready at, $7 delay until ready in milliseconds,
-- $8 unique key, $9 metadata, $10 capabilities, $11 input as bytes, $12 retry policy, $13 tasks that must end before,
-- $14 what happens if one of them is not done: `abort` or `run`; options about the unique key: $15 how long the task
-- keeps it: the state, $16 the milliseconds, $17 what happens to a task that has it, $18 debounce and $19 its limit in
-- milliseconds
select rework.schedule(
           operation => $1, input => $2, domain => $3, host => $4, priority => $5,
           delayed_until => coalesce($6, clock_timestamp() + $7 * interval '1 millisecond'),
           unique_key => $8, metadata => $9::json, capabilities => $10, input_bytes => $11,
           retry => $12::json, after => $13, after_failure => $14,
           unique_while => $15, unique_for => $16 * interval '1 millisecond', on_conflict => $17,
           debounce => $18 * interval '1 millisecond', at_most => $19 * interval '1 millisecond') as task
