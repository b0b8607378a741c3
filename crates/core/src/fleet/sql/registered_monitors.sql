-- registered_monitors: returns the monitors of host $1 whose ends are not recorded, with their leases.
select monitor.id, monitor.boot_id, monitor.pid_ns, monitor.pid, monitor.pid_start, monitor.domains,
       coalesce(monitor.options ->> 'every_domain' = 'true', false) as every_domain,
       lease.id as lease, lease.epoch, lease.renewals, lease.taken_at is not null as lease_is_taken
  from rework.monitor
  join rework.lease on lease.id = monitor.lease
 where monitor.host = $1 and monitor.finished_at is null
 order by monitor.id
