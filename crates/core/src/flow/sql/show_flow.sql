-- show_flow: returns flow $1. `steps` has the number of steps in each state, as JSON; gates do not count. No row if the
-- task is not a flow, or has no plan yet.
select f.id, f.name, f.phase, f.ends_as, f.failures::text as failures, f.made_at, f.ended_at,
       (select json_object_agg(counted.state, counted.steps)
          from (select s.state, count(*) as steps
                  from rework.step s
                 where s.flow = $1 and s.kind = 'task'
                 group by s.state) as counted)::text as steps
  from rework.flow f
 where f.id = $1
