-- taken_workers: workers that lived by a lease that was taken away, and are not in the books as dead or
-- still hold a task: a claim that one of them had sent may come to light
select w.id
  from rework.lease l
  join rework.worker w on w.lease = l.id
 where l.taken_at is not null and l.swept_at is null
   and (w.finished_at is null
        or exists (select from rework.task t where t.worker = w.id and t.state in ('running', 'aborting')))
