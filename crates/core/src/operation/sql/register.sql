-- register: stores operations, and their placements (the records of the files that a host runs) on one host, as their
-- modules define them. Returns each operation, and whether its placement is new.
--
-- $1 is a JSON array of {domain, name, kind, path, interpreter, declared: {the columns of an operation}}, $2 the host.
--
-- The version of an operation counts the changes of its definition; the revision of a placement counts its
-- registrations. The caller holds the lock of lock_operation_registration.sql, so that `former` is what this statement
-- changes.
with given as (
    select row_.domain, row_.name, row_.kind, row_.path, row_.interpreter, row_.declared, o.*
      from json_to_recordset($1::json)
               as row_ (domain text, name text, kind text, path text, interpreter text, declared json),
           json_to_record(row_.declared)
               as o (input_schema json, output_schema json, output_form text, timeout_ms bigint,
                     memory_bytes bigint, attempts integer, grace_ms bigint, retry_lost boolean,
                     priority smallint, concurrency integer)
),
former as (
    select given.domain, given.name, o.id, o.unregistered_at, p.kind, p.path, p.id is null as unplaced,
           json_build_object(
               'input_schema', o.input_schema, 'output_schema', o.output_schema,
               'output_form', o.output_form, 'timeout_ms', o.timeout_ms,
               'memory_bytes', o.memory_bytes, 'attempts', o.attempts,
               'grace_ms', o.grace_ms, 'retry_lost', o.retry_lost,
               'priority', o.priority, 'concurrency', o.concurrency) as declared
      from given
      left join rework.operation o on o.domain = given.domain and o.name = given.name
      left join rework.placement p on p.operation = o.id and p.host = $2
),
changed as (
    select former.domain, former.name,
           former.id is not null and former.unregistered_at is null as known,
           (select json_object_agg(a.key, json_build_object('from', b.value, 'to', a.value))
              from json_each(given.declared) a
              join json_each(former.declared) b on b.key = a.key
             where former.id is not null and a.value::text <> b.value::text) as what
      from former
      join given on given.domain = former.domain and given.name = former.name
),
operation as (
    insert into rework.operation as o
        (domain, name, input_schema, output_schema, output_form, timeout_ms, memory_bytes,
         attempts, grace_ms, retry_lost, priority, concurrency)
    select domain, name, input_schema, output_schema, output_form, timeout_ms, memory_bytes,
           attempts, grace_ms, retry_lost, priority, concurrency
      from given
     order by domain, name
    on conflict (domain, name) do update
       set version = o.version + (
               select (not c.known or c.what is not null)::integer
                 from changed c where c.domain = o.domain and c.name = o.name),
           input_schema = excluded.input_schema,
           output_schema = excluded.output_schema,
           output_form = excluded.output_form,
           timeout_ms = excluded.timeout_ms,
           memory_bytes = excluded.memory_bytes,
           attempts = excluded.attempts,
           grace_ms = excluded.grace_ms,
           retry_lost = excluded.retry_lost,
           priority = excluded.priority,
           concurrency = excluded.concurrency,
           registered_at = now(),
           unregistered_at = null
    returning o.id, o.domain, o.name, o.version
),
placement as (
    insert into rework.placement as p (operation, host, kind, path, interpreter)
    select operation.id, $2, given.kind, given.path, given.interpreter
      from operation
      join given on given.domain = operation.domain and given.name = operation.name
    on conflict (operation, host) do update
       set kind = excluded.kind, path = excluded.path, interpreter = excluded.interpreter,
           revision = p.revision + 1,
           registered_at = now()
    returning p.operation, p.kind, p.path, p.interpreter, p.revision
),
-- The lane of tasks without a pinned host and capabilities is created here. Otherwise the session that schedules the
-- first such task creates it, and other sessions that schedule one wait until the transaction of the first ends.
lane as (
    insert into rework.lane (domain, operation)
    select domain, id from operation
     where not exists (select from rework.lane
                        where lane.operation = operation.id and lane.host is null and lane.capabilities = '{}')
    on conflict do nothing
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'register', format('operation %s.%s', operation.domain, operation.name),
           json_build_object('host', $2, 'kind', placement.kind, 'path', placement.path,
                             'interpreter', placement.interpreter, 'revision', placement.revision,
                             'version', operation.version,
                             'former_path', nullif(former.path, placement.path),
                             'changed', changed.what)
      from operation
      join placement on placement.operation = operation.id
      join former on former.domain = operation.domain and former.name = operation.name
      join changed on changed.domain = operation.domain and changed.name = operation.name
)
select operation.domain, operation.name, former.unplaced as new, placement.revision, operation.version
  from operation
  join placement on placement.operation = operation.id
  join former on former.domain = operation.domain and former.name = operation.name
 order by operation.domain, operation.name
