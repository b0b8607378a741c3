-- import_tasks: returns the queued tasks of the source with ids above $1, by ascending id. Returns at most $2 tasks,
-- and stops after the task whose input reaches a total of $3 bytes. Tasks whose abort was requested are left out: they
-- must not start.
select id::bigint as id, operation::bigint as operation, input, nullif(metadata, 'null')::text as metadata
  from (select next.*, sum(size) over (order by id) - size as before
          from (select t.id, t.operation, t.input, t.metadata, coalesce(octet_length(t.input), 0)::bigint as size
                  from rework.task t
                 where t.status = 'queued' and not t.abort and t.id > $1
                 order by t.id
                 limit $2) as next) as counted
 where before < $3
 order by id
