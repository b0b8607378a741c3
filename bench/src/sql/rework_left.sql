-- rework_left: whether a task is ready or running; both looks are at small partial indexes
select exists (select from rework.task where state = 'queued' and lane = any (array(select id from rework.lane)))
    or exists (select from rework.task where state in ('running', 'aborting') and worker is not null)
