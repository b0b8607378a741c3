-- fire: makes the tasks of schedule $1, which was due at $2, for the instants $3, and sets its next due time to $4
-- (null: never again). Returns one firing for each instant that had none yet: the instant, and the task that was made
-- or the reason why none was. An error with an SQLSTATE of rework, such as RW404, is such a reason. Does nothing and
-- returns no row if the schedule is no longer due at $2, because another monitor has fired it or a user has changed or
-- paused it.
select schedule, due_at, task, reason from rework.fire($1, $2, $3, $4)
