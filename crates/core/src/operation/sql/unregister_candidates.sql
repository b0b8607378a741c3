-- unregister_candidates: returns the placements (the records that a host can run an operation) of operations with name
-- $1, and such operations themselves if they have no placement.
--
-- $2 domain, $3 host, $4 a part of the path, or a pattern with `%`; null matches all
select o.id as operation, p.id as placement, o.domain, o.name,
       coalesce(p.path, '-') as path, coalesce(p.host, '-') as host
  from rework.operation o
  left join rework.placement p on p.operation = o.id
 where o.name = $1
   and o.unregistered_at is null
   and ($2::text is null or o.domain = $2)
   and ($3::text is null or p.host = $3)
   and ($4::text is null or case when $4 like '%\%%' then p.path like $4 else strpos(p.path, $4) > 0 end)
 order by o.domain, p.host
