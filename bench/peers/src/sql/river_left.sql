-- Whether a job of River's is not at its end.
select exists (
    select
    from river_job
    where state in ('available', 'pending', 'retryable', 'running', 'scheduled')
)
