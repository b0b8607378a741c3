-- fail_unregistered: fails the queued tasks of steps whose operation was unregistered more than $1 milliseconds ago.
-- Returns how many.
select rework.fail_unregistered($1 * interval '1 millisecond') as failed
