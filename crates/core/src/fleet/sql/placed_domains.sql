-- placed_domains: the domains of which host $1 runs an operation
select coalesce(array_agg(distinct operation.domain order by operation.domain), '{}') as domains
  from rework.placement
  join rework.operation on operation.id = placement.operation
 where placement.host = $1 and operation.unregistered_at is null
