-- module_domains: the domains of an operation that the hosts have from this module, given by its path or the end of it
select distinct o.domain
  from rework.operation o
  join rework.placement p on p.operation = o.id
 where o.name = :name
   and o.unregistered_at is null
   and (cast(:domain as text) is null or o.domain = :domain)
   and (p.path = :module or right(p.path, length(:module) + 1) = '/' || :module)
 order by o.domain
