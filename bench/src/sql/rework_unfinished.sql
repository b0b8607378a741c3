-- rework_unfinished: returns whether a task is ready or running. Each part reads a small partial index: the condition
-- on the lane (the number for what a task needs of a host) matches task_ready, and the condition on the worker matches
-- task_live.
select exists (select from rework.task where state = 'queued' and lane = any (array(select id from rework.lane)))
    or exists (select from rework.task where state in ('running', 'aborting') and worker is not null)
