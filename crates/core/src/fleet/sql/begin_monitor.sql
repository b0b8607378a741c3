-- begin_monitor: a monitor and the lease that its workers live by
-- $1 host, $2 boot, $3 pid namespace, $4 pid, $5 its start, $6 domains, $7 capabilities, $8 options,
-- $9 containment, $10 memory, $11 version, $12 the length of the lease in milliseconds
with drawn as materialized (
    select nextval(pg_get_serial_sequence('rework.monitor', 'id')) as id
),
lease as (
    insert into rework.lease (holder, length_ms)
    select 'monitor ' || drawn.id || ' on ' || $1, $12 from drawn
    returning id, epoch
),
monitor as (
    insert into rework.monitor (id, lease, host, boot_id, pid_ns, pid, pid_start, domains,
                                capabilities, options, containment, memory, version)
    overriding system value
    select drawn.id, lease.id, $1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10, $11
      from drawn, lease
    returning id, domains
)
select monitor.id, lease.id as lease, lease.epoch, monitor.domains from monitor, lease
