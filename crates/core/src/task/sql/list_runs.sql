-- list_runs: returns the runs of task $1 that ended without ending the task, oldest first.
select run, attempt, outcome, reason, error::text, worker, host, revision, memory_peak, started_at, finished_at
  from rework.run
 where task = $1
 order by run
