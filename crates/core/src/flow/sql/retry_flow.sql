-- retry_flow: retries flow $1, and returns what it does now, for people. $2 is the name of a step whose revert failed
-- and that somebody has undone; null if there is none. Raises RW404 if there is no such flow or step, and RW400 if the
-- flow cannot be retried.
select rework.retry_flow($1, $2) as result
