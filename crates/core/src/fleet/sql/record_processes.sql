-- record_processes: stores the processes of the workers $1: their pids $2 and starts $3, in clock ticks since the boot.
-- Returns the workers that were found. A worker whose process was not recorded in time counts as never started, and is
-- left out.
update rework.worker set pid = started.pid, pid_start = started.pid_start
  from unnest($1::bigint[], $2::int[], $3::bigint[]) as started (worker, pid, pid_start)
 where worker.id = started.worker and worker.finished_at is null
returning worker.id
