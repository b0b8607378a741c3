-- schedules_fill: creates an operation, and $1 schedules of it. Their rules fire once a day, at each minute of the day.
-- All of them are due since yesterday, and a monitor has watched since then. So some of them fire for yesterday and for
-- today. The tasks are for a host that does not exist.
with operation as (
    insert into rework.operation (domain, name) values ('default', 'noop') returning id
),
watch as (
    insert into rework.schedule_watch (domain, since, until) values ('default', now() - interval '2 days', now())
)
insert into rework.schedule (operation, rule, host, input, fingerprint, next_at)
select operation.id, format('%s %s * * *', n / 24 % 60, n % 24), 'nowhere', to_json(n), md5(n::text),
       date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '1 day'
       + n % 24 * interval '1 hour' + n / 24 % 60 * interval '1 minute'
  from operation, generate_series(1, $1::integer) n
