-- unprepare: schedule $1 is taken away
with gone as (
    delete from rework.schedule where id = $1
    returning id, operation, rule
),
noted as (
    insert into rework.audit (action, subject, detail)
    select 'unprepare', 'schedule ' || gone.id,
           json_build_object('operation', o.name, 'domain', o.domain, 'rule', gone.rule)
      from gone
      join rework.operation o on o.id = gone.operation
)
select id from gone
