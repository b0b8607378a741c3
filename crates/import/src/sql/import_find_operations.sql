-- import_find_operations: returns the operations of our database with the domains $1 and the names $2. The n-th domain
-- belongs to the n-th name.
select o.domain, o.name, o.input_schema, o.unregistered_at is not null as unregistered
  from unnest($1::text[], $2::text[]) as given (domain, name)
  join rework.operation o on o.domain = given.domain and o.name = given.name
