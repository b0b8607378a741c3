-- import_tasks: queued tasks of the Python rework behind the id $1, in their order: at most $2, and none behind so
-- many bytes of input that $3 is reached. One that was asked to end never is to begin
select id::bigint as id, operation::bigint as operation, input, nullif(metadata, 'null')::text as metadata
  from (select next.*, sum(size) over (order by id) - size as before
          from (select t.id, t.operation, t.input, t.metadata, coalesce(octet_length(t.input), 0)::bigint as size
                  from rework.task t
                 where t.status = 'queued' and not t.abort and t.id > $1
                 order by t.id
                 limit $2) as next) as counted
 where before < $3
 order by id
