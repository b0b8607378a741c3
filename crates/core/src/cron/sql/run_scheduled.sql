-- run_scheduled: makes a task of schedule $1 now, and returns the id of the task; null if there is no such schedule.
-- Raises RW404 if the operation is not registered any more, RW413 if the input is too large, and RW400 if the domain
-- has too many combinations of operation, host and capabilities.
select rework.run_scheduled($1) as task
