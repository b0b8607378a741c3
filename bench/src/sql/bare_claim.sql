-- bare_claim: claims the first ready task for worker $1. Rows that another client has locked are skipped.
update task
   set state = 'running', worker = $1, attempt = attempt + 1, started_at = clock_timestamp()
 where id = (
    select id from task
     where lane = 1 and state = 'queued'
     order by priority desc, position
     limit 1
       for update skip locked)
returning id, input::text
