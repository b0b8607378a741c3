-- river_unfinished: whether there is a job whose state is not final.
select exists (
    select
    from river_job
    where state in ('available', 'pending', 'retryable', 'running', 'scheduled')
)
