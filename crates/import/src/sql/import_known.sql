-- import_known: the tasks (or else schedules: $2) of database $1 that were imported before; also those that are deleted
-- here by now, since they stay there for ever
select distinct known.id::bigint as id
  from rework.audit a, json_array_elements_text(a.detail -> $2) as known (id)
 where a.action = 'import' and a.subject = $1
