-- river_queue: inserts $1 copies of the only job. The columns are those that `insert_many` fills, with the same values:
-- it gives all jobs of one call the time of its transaction.
insert into river_job (
    args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags,
    unique_key, unique_states
)
select
    args, now(), kind, max_attempts, metadata, priority, queue, now(), state, tags,
    unique_key, unique_states
from river_job, generate_series(1, $1)
