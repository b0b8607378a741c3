-- remove_scheduled: removes schedule $1. A foreign key deletes its firings, which record the instants at which it was
-- due. Returns the id; no row if there is no such schedule.
with removed as (
    delete from rework.schedule where id = $1
    returning id, operation, rule
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'unprepare', 'schedule ' || removed.id,
           json_build_object('operation', o.name, 'domain', o.domain, 'rule', removed.rule)
      from removed
      join rework.operation o on o.id = removed.operation
)
select id from removed
