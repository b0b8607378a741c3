-- import_known: the tasks of database $1 that were imported before; also those that are deleted here by now, since
-- they are queued there for ever
select distinct known.task::bigint as task
  from rework.audit a, json_array_elements_text(a.detail -> 'tasks') as known (task)
 where a.action = 'import' and a.subject = $1
