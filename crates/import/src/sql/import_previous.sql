-- import_previous: returns the source's ids of the items that earlier imports from source $1 created, also of those
-- that were deleted since. $2 is `tasks` or `schedules`. The source keeps its items, so without this list a deleted
-- one would be imported again.
select distinct imported.id::bigint as id
  from rework.audit a, json_array_elements_text(a.detail -> $2) as imported (id)
 where a.action = 'import' and a.subject = $1
