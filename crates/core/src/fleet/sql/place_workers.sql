-- place_workers: the processes, pids $2 started at $3, of the workers $1; those that count as never
-- started, since this took too long, are left out
update rework.worker set pid = born.pid, pid_start = born.pid_start
  from unnest($1::bigint[], $2::int[], $3::bigint[]) as born (worker, pid, pid_start)
 where worker.id = born.worker and worker.finished_at is null
returning worker.id
