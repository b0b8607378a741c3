-- scale_hosts: returns each monitor with its lease, its host and its workers.
select monitor.id, monitor.lease, lease.epoch, monitor.host,
       array(select worker.id from rework.worker where worker.monitor = monitor.id)
  from rework.monitor
  join rework.lease on lease.id = monitor.lease
 order by monitor.id
