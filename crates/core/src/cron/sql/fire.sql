-- fire: makes the tasks of the schedules $1, and moves each of them on: schedule $1[n] was due at $2[n], and is due
-- next at $3[n] (null: never again). Makes a task for each instant $5[n], of schedule $4[n]. Returns one firing for
-- each instant that had none yet: the instant, and the task that was made or the reason why none was. An error with an
-- SQLSTATE of rework, such as RW400, is such a reason. Does nothing for a schedule that is no longer due at $2[n],
-- because another monitor has fired it or a user has changed or paused it, or that another transaction has locked.
select schedule, due_at, task, reason from rework.fire($1, $2, $3, $4, $5)
