-- step_tasks: returns the tasks of the steps and controllers of flow $1, also those of earlier rounds and plans, each
-- with the name of its step, in the order of their ids. A task of a controller has the name of its pattern.
with made as (
    select case s.kind when 'task' then s.name else c.name end as step, s.task, s.undo_task
      from rework.step s
      join rework.scope c on c.flow = s.flow and c.number = s.scope
     where s.flow = $1 and (s.task is not null or s.undo_task is not null)
    union all
    select c.name, c.controller_task, null from rework.scope c where c.flow = $1 and c.controller_task is not null
    union all
    select p.step, p.task, p.undo_task from rework.past p where p.flow = $1
)
select t.id, min(made.step) as step
  from made
 cross join lateral unnest(array[made.task, made.undo_task]) as t (id)
 where t.id is not null
 group by t.id
 order by t.id
