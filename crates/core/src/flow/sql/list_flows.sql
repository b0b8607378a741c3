-- list_flows: returns the newest $2 flows that have not ended. If $1 is true, also those that have ended. A flow that
-- has no plan yet has no phase. `done` is the number of steps that are over. While a flow is being reverted, it is the
-- number of steps that are reverted, and `steps` counts only those that had started. `running` has the names of the steps whose tasks run now, and `hosts` their hosts.
--
-- Flows without a plan are found by the indexes of the states in which a task can be then.
with operation as materialized (
    select id from rework.operation where is_flow
),
lane as materialized (
    select l.id from rework.lane l where l.operation in (select id from operation)
),
unplanned as (
    select t.id from lane join rework.task t on t.lane = lane.id and t.state = 'queued'
    union all
    select t.id from lane join rework.task t on t.lane = lane.id and t.state = 'waiting'
     where t.operation in (select id from operation)
    union all
    select t.id from rework.task t where t.state = 'delayed' and t.operation in (select id from operation)
    union all
    select t.id from rework.task t
     where t.state in ('running', 'aborting') and t.operation in (select id from operation)
),
chosen as (
    select u.id, null::text as phase, null::timestamptz as ended_at
      from unplanned u
     where not exists (select from rework.flow f where f.id = u.id)
    union all
    (select f.id, f.phase, f.ended_at
       from rework.flow f
      where f.ended_at is null or $1
      order by f.id desc
      limit $2)
)
select t.id, o.name as operation, o.domain, c.phase, c.ended_at, t.queued_at,
       coalesce(counted.done, 0) as done, coalesce(counted.steps, 0) as steps,
       coalesce(active.running, '{}') as running,
       case when c.phase is null and t.state in ('running', 'aborting') and t.ran_on is not null then array[t.ran_on]
            else coalesce(active.hosts, '{}') end as hosts
  from (select * from chosen order by id desc limit $2) as c
  join rework.task t on t.id = c.id
  join rework.operation o on o.id = t.operation
  left join lateral (
      select count(*) filter (where case when c.phase in ('reverting', 'revert_failed', 'reverted')
                                         then s.state = 'reverted'
                                         else s.state in ('done', 'skipped', 'failed') end) as done,
             count(*) filter (where c.phase not in ('reverting', 'revert_failed', 'reverted') or s.state <> 'pending')
                 as steps
        from rework.step s
       where s.flow = c.id and s.kind = 'task' and c.phase is not null) as counted on true
  left join lateral (
      select array_agg(s.name order by s.number) as running,
             array_agg(distinct r.ran_on) filter (where r.ran_on is not null) as hosts
        from rework.step s
        join rework.task r on r.id = case when s.state = 'reverting' then s.undo_task else s.task end
       where s.flow = c.id and s.state in ('started', 'reverting') and r.state in ('running', 'aborting')
         and c.ended_at is null and c.phase is not null) as active on true
 order by c.id desc
