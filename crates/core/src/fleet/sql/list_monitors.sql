-- list_monitors: returns the monitors that have not ended, or all monitors if $1 is true, oldest first, with the
-- seconds since the last renewal of their leases, and the pauses of their hosts as JSON.
select monitor.id, monitor.host, monitor.pid, monitor.domains, monitor.capabilities,
       monitor.options::text, monitor.containment, monitor.memory, monitor.version,
       monitor.start_faults::text,
       monitor.started_at, lease.renewed_at, monitor.finished_at, monitor.reason,
       extract(epoch from clock_timestamp() - case when isfinite(lease.renewed_at) then lease.renewed_at end)::float8
           as seconds_since_renewal,   -- null, not an error, if `renewed_at` is infinite
       (select json_agg(pause order by pause.id) from rework.pause where pause.host = monitor.host)::text as pauses
  from rework.monitor
  join rework.lease on lease.id = monitor.lease
 where monitor.finished_at is null or $1
 order by monitor.id
