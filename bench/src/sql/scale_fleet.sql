-- scale_fleet: inserts the rows of $1 hosts with one monitor and $2 started workers each, and of $3 operations that all
-- hosts run.
with host as (
    select 'host-' || n as name from generate_series(1, $1::integer) n
),
operation as (
    insert into rework.operation (domain, name)
    select 'default', 'scale_' || n from generate_series(1, $3::integer) n
    returning id, domain
),
lane as (
    insert into rework.lane (domain, operation) select domain, id from operation
),
placement as (
    insert into rework.placement (operation, host, kind, path)
    select operation.id, host.name, 'rust', '/srv/operations' from operation, host
),
lease as (
    insert into rework.lease (holder) select name from host returning id, holder
),
monitor as (
    insert into rework.monitor (lease, host, boot_id, pid_ns, pid, pid_start, domains, options, containment,
                                memory, version, idle_domains)
    select id, holder, 'boot', 'pid:[1]', 1, 1, '{default}', '{}', 'processes', 'sampled', '0', '{default}'
      from lease
    returning id, lease, host
)
insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns, pid, pid_start, started_at)
select id, lease, host, 'default', 'boot', 'pid:[1]', 1 + n, 1, now()
  from monitor, generate_series(1, $2::integer) n
