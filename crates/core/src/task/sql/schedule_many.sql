-- schedule_many: tasks of one operation; one row with their ids, in the order of the inputs
--
-- $1 operation, $2 inputs, $3 domain, $4 host, $5 priority, $6 ready at, $7 ready after so many
-- milliseconds, $8 metadata, $9 capabilities, $10 inputs as bytes, null where none is
select coalesce(array_agg(id), '{}') as tasks
  from rework.schedule_many(
           operation => $1, inputs => $2::json[], domain => $3, host => $4, priority => $5,
           delayed_until => coalesce($6, clock_timestamp() + $7 * interval '1 millisecond'),
           metadata => $8::json, capabilities => $9, inputs_bytes => $10) as id
