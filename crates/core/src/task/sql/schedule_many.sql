-- schedule_many: schedules tasks of one operation. Returns one row with their ids, in the order of the inputs. Raises
-- RW404 if the operation is not registered or a task of $12 does not exist, RW300 if $3 is null and several domains
-- have the operation, RW413 if a value is too large, and RW400 if a value makes no sense.
--
-- $1 operation, $2 inputs as JSON, $3 domain, $4 host, $5 priority, $6 ready at, $7 delay until ready in milliseconds,
-- $8 metadata, $9 capabilities, $10 inputs as bytes, null if no input is bytes, $11 retry policy, $12 tasks that must
-- end before, $13 what happens if one of them is not done: `abort` or `run`
select coalesce(array_agg(id), '{}') as tasks
  from rework.schedule_many(
           operation => $1, inputs => $2, domain => $3, host => $4, priority => $5,
           delayed_until => coalesce($6, clock_timestamp() + $7 * interval '1 millisecond'),
           metadata => $8::json, capabilities => $9, inputs_bytes => $10,
           retry => $11::json, after => $12, after_failure => $13) as id
