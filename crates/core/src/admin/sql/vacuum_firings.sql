-- vacuum_firings: deletes firings (records of the instants at which schedules were due) that are more than a day old.
-- Two of each schedule are kept: the last one, and the last one that made a task (the next firing looks there whether
-- the previous task has ended).
delete from rework.firing
 where due_at < rework.schedule_clock() - interval '1 day'
   and exists (select from rework.firing later
                where later.schedule = firing.schedule and later.due_at > firing.due_at
                  and (later.task is not null or firing.task is null))
