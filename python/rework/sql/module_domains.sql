-- module_domains: returns the domains of the operations with name `:name` that a host registered from the module
-- `:module`, the path of the module's file or the end of that path. If `:domain` is not null, only this domain can be
-- returned.
select distinct o.domain
  from rework.operation o
  join rework.placement p on p.operation = o.id
 where o.name = :name
   and o.unregistered_at is null
   and (cast(:domain as text) is null or o.domain = :domain)
   and (p.path = :module or right(p.path, length(:module) + 1) = '/' || :module)
 order by o.domain
