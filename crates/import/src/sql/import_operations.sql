-- import_operations: the operations of the Python rework, in the order in which they were registered
select id::bigint as id, host, name, domain, timeout, inputs, outputs
  from rework.operation
 order by id
