-- find_operations: returns the operations with the names $1, of all domains, for the compiler of flows. If one of the names
-- is not registered, other operations follow, at most 1000, so that the compiler can suggest one. A text such as
-- `cloud/notify` among the names also occurs there without its domain.
select id, domain, name, input_schema, is_flow, unregistered_at is null as registered
  from rework.operation
 where name = any ($1)
union all
(select id, domain, name, null, is_flow, true
   from rework.operation
  where unregistered_at is null and name <> all ($1)
    and exists (select from unnest($1) as wanted (name)
                 where strpos(wanted.name, '/') = 0
                   and not exists (select from rework.operation o
                                    where o.name = wanted.name and o.unregistered_at is null))
  order by id desc
  limit 1000)
