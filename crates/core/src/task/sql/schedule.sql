-- schedule: one task, by the function that every language calls
--
-- $1 operation, $2 input, $3 domain, $4 host, $5 priority, $6 ready at, $7 ready after so many
-- milliseconds, $8 unique key, $9 metadata, $10 capabilities, $11 input as bytes
select rework.schedule(
           operation => $1, input => $2::json, domain => $3, host => $4, priority => $5,
           delayed_until => coalesce($6, clock_timestamp() + $7 * interval '1 millisecond'),
           unique_key => $8, metadata => $9::json, capabilities => $10, input_bytes => $11) as task
