-- retry_backoff: returns how long a task waits after a failed attempt, the number of which is `attempt`. `requested_ms`
-- is the pause in milliseconds that the error requests, at most a year. If it is null, the pause is 1 s after the first
-- attempt and doubles with each further one, up to 1 h. Up to 10 % are added at random, so that tasks that failed
-- together are not retried together.

create function rework.retry_backoff(attempt integer, requested_ms bigint) returns interval
language sql volatile as $$
    select least(coalesce(requested_ms,
                          least(3600, power(2, least(attempt - 1, 12))) * 1000 * (1 + random() / 10)),
                 31536000000)
           * interval '1 millisecond'
$$;

revoke all on function rework.retry_backoff from public;
