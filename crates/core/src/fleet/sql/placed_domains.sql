-- placed_domains: returns the domains of which an operation is registered on host $1.
select coalesce(array_agg(distinct operation.domain order by operation.domain), '{}') as domains
  from rework.placement
  join rework.operation on operation.id = placement.operation
 where placement.host = $1 and operation.unregistered_at is null
