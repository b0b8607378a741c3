-- placed_operation: returns operation $1 with its placement $2, the record of the file that one host runs for the
-- operation. No row if one of the two was removed.
select operation.id as operation, operation.domain, operation.name, operation.input_schema, operation.output_schema,
       operation.output_form, operation.timeout_ms, operation.memory_bytes, operation.attempts,
       operation.grace_ms, operation.retry_lost, operation.priority, operation.concurrency,
       operation.retry::text as retry,
       operation.available,
       operation.run_after, operation.run_before, operation.on_failure, operation.is_flow,
       placement.kind, placement.path, placement.interpreter
  from rework.operation
  join rework.placement on placement.operation = operation.id
 where operation.id = $1 and placement.id = $2
