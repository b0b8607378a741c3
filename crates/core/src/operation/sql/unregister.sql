-- unregister: takes placements away; an operation that has none left is unregistered. Its tasks
-- stay, the queued ones too: they run when it is registered again.
--
-- $1 placements, $2 their operations, and those that had no placement
with gone as (
    delete from rework.placement p
     where p.id = any ($1)
    returning p.operation, p.host, p.kind, p.path, p.revision
),
ended as (
    update rework.operation o
       set unregistered_at = now(), version = o.version + 1
     where o.id = any ($2)
       and o.unregistered_at is null
       and not exists (select from rework.placement p
                        where p.operation = o.id and p.id <> all ($1))
    returning o.id
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'unregister', format('operation %s.%s', o.domain, o.name),
           json_build_object('host', gone.host, 'kind', gone.kind, 'path', gone.path,
                             'revision', gone.revision, 'everywhere', ended.id is not null)
      from rework.operation o
      left join gone on gone.operation = o.id
      left join ended on ended.id = o.id
     where o.id = any ($2) and (gone.operation is not null or ended.id is not null)
)
select (select count(*) from gone) as placements,
       (select count(*) from ended) as operations,
       (select count(*)
          from ended
          join rework.lane on lane.operation = ended.id
          join rework.task on task.lane = lane.id and task.state = 'queued') as waiting
