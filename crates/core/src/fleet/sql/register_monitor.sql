-- register_monitor: inserts a monitor together with the lease of the monitor and its workers. Returns the monitor, its
-- lease, the epoch of the lease (a number that changes when the lease is taken away) and the domains.
--
-- $1 host, $2 boot id, $3 pid namespace, $4 pid, $5 start of the process in clock ticks since the boot, $6 domains, $7
-- capabilities, $8 options, $9 containment, $10 memory, $11 version, $12 length of the lease in milliseconds, $13 its
-- first epoch
--
-- The id is drawn first, because the text of the lease contains it.
with next as materialized (
    select nextval(pg_get_serial_sequence('rework.monitor', 'id')) as id
),
lease as (
    insert into rework.lease (holder, length_ms, epoch)
    select 'monitor ' || next.id || ' on ' || $1, $12, $13 from next
    returning id, epoch
),
monitor as (
    insert into rework.monitor (id, lease, host, boot_id, pid_ns, pid, pid_start, domains,
                                capabilities, options, containment, memory, version)
    overriding system value
    select next.id, lease.id, $1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10, $11
      from next, lease
    returning id, domains
)
select monitor.id, lease.id as lease, lease.epoch, monitor.domains from monitor, lease
