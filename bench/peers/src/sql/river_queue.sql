-- $1 more of the one job that is there: the columns that `insert_many` fills, with what it fills
-- them. The times of one call are those of its transaction.
insert into river_job (
    args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags,
    unique_key, unique_states
)
select
    args, now(), kind, max_attempts, metadata, priority, queue, now(), state, tags,
    unique_key, unique_states
from river_job, generate_series(1, $1)
