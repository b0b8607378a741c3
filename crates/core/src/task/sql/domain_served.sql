-- domain_served: whether a monitor serves domain $1 that was live within a minute
select exists (
    select from rework.monitor m
      join rework.lease l on l.id = m.lease
     where m.finished_at is null
       and l.renewed_at > clock_timestamp() - interval '1 minute'
       and $1 = any (m.domains)) as served
