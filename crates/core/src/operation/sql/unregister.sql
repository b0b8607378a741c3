-- unregister: removes the placements $1 (the records that a host can run an operation). Then each of the operations $2
-- that has no placement left is unregistered. The caller puts into $2 the operations of the placements $1, and those
-- that had no placement before. The tasks of an operation stay, also the queued ones: they run when it is registered
-- again. Returns the numbers of removed placements, of unregistered operations and of their queued tasks.
with removed as (
    delete from rework.placement p
     where p.id = any ($1)
    returning p.operation, p.host, p.kind, p.path, p.revision
),
unregistered as (
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
           json_build_object('host', removed.host, 'kind', removed.kind, 'path', removed.path,
                             'revision', removed.revision, 'everywhere', unregistered.id is not null)
      from rework.operation o
      left join removed on removed.operation = o.id
      left join unregistered on unregistered.id = o.id
     where o.id = any ($2) and (removed.operation is not null or unregistered.id is not null)
)
select (select count(*) from removed) as placements,
       (select count(*) from unregistered) as operations,
       (select count(*)
          from unregistered
          join rework.lane on lane.operation = unregistered.id
          join rework.task on task.lane = lane.id and task.state = 'queued') as waiting
