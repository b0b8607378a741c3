-- placed: operation $1 as placement $2 runs it
select operation.id as operation, operation.domain, operation.name, operation.input_schema, operation.output_schema,
       operation.output_form, operation.timeout_ms, operation.memory_bytes, operation.attempts,
       operation.grace_ms, operation.retry_lost, operation.priority, operation.concurrency, placement.kind, placement.path,
       placement.interpreter
  from rework.operation
  join rework.placement on placement.operation = operation.id
 where operation.id = $1 and placement.id = $2
