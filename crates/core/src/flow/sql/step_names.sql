-- step_names: returns the names of the steps of flow $1, in the order of their numbers.
select s.name
  from rework.step s
 where s.flow = $1 and s.kind = 'task'
 order by s.number
