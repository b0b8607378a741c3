-- vacuum_watch: deletes the periods in which a monitor watched the schedules of a domain, if they ended more than a day
-- ago and no schedule of the domain is still due since such a period.
delete from rework.schedule_watch w
 where w.until < rework.schedule_clock() - interval '1 day'
   and not exists (select from rework.schedule s
                     join rework.operation o on o.id = s.operation
                    where o.domain = w.domain and s.next_at <= w.until and s.paused_at is null)
