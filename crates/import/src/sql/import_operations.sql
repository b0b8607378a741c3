-- import_operations: returns the operations of the source, in the order in which they were registered.
select id::bigint as id, host, name, domain, timeout, inputs, outputs
  from rework.operation
 order by id
