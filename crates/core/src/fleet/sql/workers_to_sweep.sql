-- workers_to_sweep: returns the workers whose lease was taken away, and whose end is not recorded or that still have a
-- run. A worker may have a run after its end was recorded, if a claim that it had sent was committed late.
select w.id
  from rework.lease l
  join rework.worker w on w.lease = l.id
 where l.taken_at is not null and l.swept_at is null
   and (w.finished_at is null
        or exists (select from rework.task t where t.worker = w.id and t.state in ('running', 'aborting')))
