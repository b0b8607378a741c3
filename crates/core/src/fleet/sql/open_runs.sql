-- open_runs: returns the runs that worker $1 has claimed and whose ends are not recorded.
select id, run, token, state, reason, revision
  from rework.task
 where worker = $1 and state in ('running', 'aborting')
 order by id
