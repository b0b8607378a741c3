-- import_targets: the operations with the domains $1 and the names $2, a pair of each at the same place, as they are here
select o.domain, o.name, o.input_schema, o.unregistered_at is not null as unregistered
  from unnest($1::text[], $2::text[]) as given (domain, name)
  join rework.operation o on o.domain = given.domain and o.name = given.name
