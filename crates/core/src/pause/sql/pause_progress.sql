-- pause_progress: returns the hosts whose monitors have not carried out pause $1, and, if $2 is true, the first 1000
-- tasks of it that run. No row if the pause was ended.
--
-- A task without a live monitor on its host is read, too: its run may go on until its lease is taken away.
select p.id,
       array(select distinct m.host
               from rework.monitor m
              where m.finished_at is null
                and (p.host is null or m.host = p.host)
                and (p.domain is null or p.domain = any (m.domains))
                and p.id <> all (m.pauses)
              order by m.host) as unconfirmed_hosts,
       case when $2
            then array(select t.id
                         from rework.task t
                         join rework.operation o on o.id = t.operation
                        where t.state in ('running', 'aborting')
                          and (p.domain is null or o.domain = p.domain)
                          and (p.operation is null or o.name = p.operation)
                          and (p.host is null or t.ran_on = p.host)
                        order by t.id
                        limit 1000)
            else '{}' end as running
  from rework.pause p
 where p.id = $1
