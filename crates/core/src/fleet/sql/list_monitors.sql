-- list_monitors: those that live or, with $1, all, first one first; how long ago each was seen, in seconds
select monitor.id, monitor.host, monitor.pid, monitor.domains, monitor.capabilities,
       monitor.options::text, monitor.containment, monitor.memory, monitor.version,
       monitor.started_at, lease.renewed_at, monitor.finished_at, monitor.reason,
       extract(epoch from clock_timestamp() - case when isfinite(lease.renewed_at) then lease.renewed_at end)::float8 as unseen_seconds
  from rework.monitor
  join rework.lease on lease.id = monitor.lease
 where monitor.finished_at is null or $1
 order by monitor.id
