-- unserved: returns what task $1 needs, if it has not been claimed and no live monitor can run it. No row otherwise. A
-- monitor counts as live for a minute after the last renewal of its lease, because the result is only shown to people.
-- `may_be_served_soon`: a monitor that serves all domains finds a new one with its next poll, within a second.
select t.id, o.domain, o.name as operation, t.host, t.capabilities,
       array(select p.host from rework.placement p
              where p.operation = o.id order by p.host) as placed_on,
       exists (select from rework.monitor m
                 join rework.lease l on l.id = m.lease
                 join rework.placement p on p.operation = o.id and p.host = m.host
                where m.finished_at is null
                  and l.renewed_at > clock_timestamp() - interval '1 minute'
                  and (m.options ->> 'every_domain')::boolean
                  and not o.domain = any (m.domains)) as may_be_served_soon
  from rework.task t
  join rework.operation o on o.id = t.operation
 where t.id = $1
   and t.state in ('delayed', 'waiting', 'queued')
   and not exists (
           select from rework.monitor m
             join rework.lease l on l.id = m.lease
             join rework.placement p on p.operation = o.id and p.host = m.host
            where m.finished_at is null
              and l.renewed_at > clock_timestamp() - interval '1 minute'
              and o.domain = any (m.domains)
              and t.capabilities <@ m.capabilities
              and (t.host is null or t.host = m.host))
