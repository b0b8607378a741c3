-- list_operations: returns the operations of domain $1 (null: all), each once for each of its placements (the records
-- that a host can run it), or once if it has none. If $2 is true, the unregistered ones are returned too.
select o.id, o.domain, o.name, o.version, o.input_schema, o.output_schema, o.output_form,
       o.timeout_ms, o.memory_bytes, o.attempts, o.grace_ms, o.retry_lost, o.priority,
       o.concurrency, o.retry::text as retry, o.available, o.run_after, o.run_before, o.on_failure,
       o.registered_at, o.unregistered_at, p.host, p.kind, p.path, p.revision
  from rework.operation o
  left join rework.placement p on p.operation = o.id
 where ($1::text is null or o.domain = $1)
   and ($2 or o.unregistered_at is null)
 order by o.domain, o.name, p.host
