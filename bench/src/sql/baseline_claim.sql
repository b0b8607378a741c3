-- baseline_claim: claims the first $2 ready tasks for worker $1. Rows that another client has locked are skipped.
update task
   set state = 'running', worker = $1, run = run + 1, attempt = attempt + 1, started_at = clock_timestamp()
 where id = any (array(
    select id from task
     where lane = 1 and state = 'queued'
     order by priority desc, position
     limit $2
       for update skip locked))
returning id, input::text
