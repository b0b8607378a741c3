-- is_domain_served: returns whether a live monitor serves domain $1. A monitor counts as live for a minute after the
-- last renewal of its lease, because the result is only shown to people.
select exists (
    select from rework.monitor m
      join rework.lease l on l.id = m.lease
     where m.finished_at is null
       and l.renewed_at > clock_timestamp() - interval '1 minute'
       and $1 = any (m.domains)) as served
