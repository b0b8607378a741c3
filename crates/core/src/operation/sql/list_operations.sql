-- list_operations: returns the operations of domain $1 (null: all), each once for each of its placements (the records
-- that a host can run it), or once if it has none. If $2 is true, the unregistered ones are returned too. `pause` is a
-- pause that concerns the operation on this host, as JSON, null if there is none.
select o.id, o.domain, o.name, o.version, o.input_schema, o.output_schema, o.output_form,
       o.timeout_ms, o.memory_bytes, o.attempts, o.grace_ms, o.retry_lost, o.priority,
       o.concurrency, o.retry::text as retry, o.available, o.run_after, o.run_before, o.on_failure, o.is_flow,
       o.registered_at, o.unregistered_at, p.host, p.kind, p.path, p.revision,
       (select x.pause::text from rework.paused_operation x
         where x.operation = o.id and (x.host is null or x.host = p.host)
         order by x.host is not null, x.paused_at limit 1) as pause
  from rework.operation o
  left join rework.placement p on p.operation = o.id
 where ($1::text is null or o.domain = $1)
   and ($2 or o.unregistered_at is null)
 order by o.domain, o.name, p.host
