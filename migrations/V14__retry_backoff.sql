-- retry_backoff: how long a task waits after a failed attempt: 1, 2, 4 … seconds up to an hour, and up to a tenth more, so that tasks
-- that failed together do not come back together. `asked_ms` milliseconds instead, at most a year, if the error itself asks for that.

create function rework.retry_backoff(attempt integer, asked_ms bigint) returns interval
language sql volatile as $$
    select least(coalesce(asked_ms, least(3600, power(2, least(attempt - 1, 12))) * 1000 * (1 + random() / 10)), 31536000000)
           * interval '1 millisecond'
$$;

revoke all on function rework.retry_backoff from public;
