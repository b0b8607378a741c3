-- create_workers: inserts the rows of $9 workers whose processes are started next. Returns the id and the process tag
-- of each.
--
-- $1 monitor, $2 lease, $3 host, $4 domain, $5 boot id, $6 pid namespace, $7 and $8 the directories in which the
-- cgroups of their runners are created
insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns, cgroup, memory_cgroup)
select $1, $2, $3, $4, $5, $6, $7, $8 from generate_series(1, $9)
returning id, process_tag
