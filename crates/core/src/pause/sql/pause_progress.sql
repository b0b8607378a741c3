-- pause_progress: returns the hosts that have not carried out pause $1, and, if $2 is true, the first 1000 tasks of it
-- that run. No row if the pause was ended.
--
-- A host has carried it out when its monitor says so, and when no worker that an earlier monitor has left behind has
-- claimed a task of it whose code has not started.
--
-- A task without a live monitor on its host is read, too: its run may go on until its lease is taken away.
select p.id,
       array(select m.host
               from rework.monitor m
              where m.finished_at is null
                and (p.host is null or m.host = p.host)
                and (p.domain is null or p.domain = any (m.domains))
                and p.id <> all (m.pauses)
              union
             select w.host
               from rework.monitor m
               join rework.worker w on w.monitor = m.id and w.finished_at is null
               join rework.task t on t.worker = w.id and t.state = 'running' and t.started_at is null
               join rework.operation o on o.id = t.operation
              where m.finished_at is not null
                and (p.host is null or w.host = p.host)
                and (p.domain is null or o.domain = p.domain)
                and (p.operation is null or o.name = p.operation)
              order by 1) as unconfirmed_hosts,
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
