-- fire: schedule $1, which was due at $2, makes tasks for the instants $3 and is due next at $4
select schedule, due_at, task, reason from rework.fire($1, $2, $3, $4)
