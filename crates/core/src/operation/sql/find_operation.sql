-- find_operation: returns the operation with name $1 in domain $2 (null: the only domain that has it). Raises RW404 if
-- it is not registered, and RW300 if $2 is null and several domains have it.
select id, domain, name, version, input_schema, output_schema, output_form, timeout_ms,
       memory_bytes, attempts, grace_ms, retry_lost, priority, concurrency, retry::text as retry, available,
       run_after, run_before, on_failure, is_flow
  from rework.operation_named($1, $2)
