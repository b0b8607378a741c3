-- operation_schema: an operation by name, and domain where several have it
--
-- $1 name, $2 domain
select id, domain, name, version, input_schema, output_schema, output_form, timeout_ms,
       memory_bytes, attempts, grace_ms, retry_lost, priority, concurrency
  from rework.operation_named($1, $2)
