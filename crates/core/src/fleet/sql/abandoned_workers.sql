-- abandoned_workers: returns the workers on host $1 whose ends are not recorded, although those of their monitors are.
select worker.id, worker.domain, worker.boot_id, worker.pid_ns, worker.pid, worker.pid_start,
       worker.process_tag, worker.cgroup, worker.memory_cgroup,
       lease.id as lease, lease.epoch, lease.renewals, worker.lease <> monitor.lease as has_own_lease
  from rework.worker
  join rework.monitor on monitor.id = worker.monitor
  join rework.lease on lease.id = worker.lease
 where worker.host = $1 and worker.finished_at is null and monitor.finished_at is not null
 order by worker.id
