-- find_operations: returns the operations with the names $1, of all domains, for the compiler of flows.
select id, domain, name, input_schema, is_flow, unregistered_at is null as registered
  from rework.operation
 where name = any ($1)
