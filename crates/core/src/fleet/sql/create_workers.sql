-- create_workers: rows for $9 workers that are about to be started
-- $1 monitor, $2 lease, $3 host, $4 domain, $5 boot, $6 pid namespace, $7 and $8 where the cgroups of
-- their runners are made
insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns, cgroup, memory_cgroup)
select $1, $2, $3, $4, $5, $6, $7, $8 from generate_series(1, $9)
returning id, mark
