-- vacuum_ticks: ticks of more than a day ago, but the last of each schedule, and the last that made a task
delete from rework.tick
 where due_at < rework.schedule_clock() - interval '1 day'
   and exists (select from rework.tick later
                where later.schedule = tick.schedule and later.due_at > tick.due_at
                  and (later.task is not null or tick.task is null))
