-- register: stores operations, and their placements (the records of the files that a host runs) on one host, as their
-- modules define them. Returns each operation, whether its placement is new, and the file that it was run from before,
-- if that was another one.
--
-- $1 is a JSON array of {domain, name, kind, path, interpreter, declared: {the columns of an operation}}, $2 the host.
--
-- The version of an operation counts the changes of its definition; the revision of a placement counts its
-- registrations. The caller holds the lock of lock_operation_registration.sql, so that the rows that `compared` reads
-- are those that this statement changes.
with given as (
    select row_.domain, row_.name, row_.kind, row_.path, row_.interpreter, row_.declared, o.*
      from json_to_recordset($1::json)
               as row_ (domain text, name text, kind text, path text, interpreter text, declared json),
           json_to_record(row_.declared)
               as o (input_schema json, output_schema json, output_form text, timeout_ms bigint,
                     memory_bytes bigint, attempts integer, grace_ms bigint, retry_lost boolean,
                     priority smallint, concurrency integer, retry json, available text, run_after text[],
                     run_before text[], on_failure text[], is_flow boolean)
),
-- Each operation with its id (a new one for a new operation), and what this registration changes. Everything below
-- reads these rows directly, or joins them by the id alone. The planner does not know how many rows there are. From a
-- join by domain and name it expects a single row, and in the next join it would compare each row with each other one.
compared as materialized (
    select given.*, coalesce(o.id, nextval('rework.operation_id_seq')) as operation, o.id is null as is_new,
           p.id is null as unplaced, nullif(p.path, given.path) as former_path, change.what,
           case when o.id is null then 1
                else o.version + (o.unregistered_at is not null or change.what is not null)::integer end as version
      from given
      left join rework.operation o on o.domain = given.domain and o.name = given.name
      left join rework.placement p on p.operation = o.id and p.host = $2
      left join lateral (
        select json_object_agg(a.key, json_build_object('from', b.value, 'to', a.value)) as what
          from json_each(given.declared) a
          join json_each(json_build_object(
                   'input_schema', o.input_schema, 'output_schema', o.output_schema,
                   'output_form', o.output_form, 'timeout_ms', o.timeout_ms,
                   'memory_bytes', o.memory_bytes, 'attempts', o.attempts,
                   'grace_ms', o.grace_ms, 'retry_lost', o.retry_lost,
                   'priority', o.priority, 'concurrency', o.concurrency,
                   'retry', o.retry, 'available', o.available, 'run_after', o.run_after,
                   'run_before', o.run_before, 'on_failure', o.on_failure,
                   'is_flow', o.is_flow)) b on b.key = a.key
         where o.id is not null and a.value::text <> b.value::text) as change on true
),
inserted as (
    insert into rework.operation
        (id, domain, name, version, input_schema, output_schema, output_form, timeout_ms, memory_bytes,
         attempts, grace_ms, retry_lost, priority, concurrency, retry, available, run_after,
         run_before, on_failure, is_flow)
    overriding system value
    select operation, domain, name, version, input_schema, output_schema, output_form, timeout_ms, memory_bytes,
           attempts, grace_ms, retry_lost, priority, concurrency, retry, available, run_after,
           run_before, on_failure, is_flow
      from compared
     where is_new
),
updated as (
    update rework.operation o
       set version = compared.version,
           input_schema = compared.input_schema,
           output_schema = compared.output_schema,
           output_form = compared.output_form,
           timeout_ms = compared.timeout_ms,
           memory_bytes = compared.memory_bytes,
           attempts = compared.attempts,
           grace_ms = compared.grace_ms,
           retry_lost = compared.retry_lost,
           priority = compared.priority,
           concurrency = compared.concurrency,
           retry = compared.retry,
           available = compared.available,
           run_after = compared.run_after,
           run_before = compared.run_before,
           on_failure = compared.on_failure,
           is_flow = compared.is_flow,
           registered_at = now(),
           unregistered_at = null
      from compared
     where o.id = compared.operation and not compared.is_new
),
placement as (
    insert into rework.placement as p (operation, host, kind, path, interpreter)
    select operation, $2, kind, path, interpreter from compared
    on conflict (operation, host) do update
       set kind = excluded.kind, path = excluded.path, interpreter = excluded.interpreter,
           revision = p.revision + 1,
           registered_at = now()
    returning p.operation, p.revision
),
-- The lane of tasks without a pinned host and capabilities is created here. Otherwise the session that schedules the
-- first such task creates it, and other sessions that schedule one wait until the transaction of the first ends.
lane as (
    insert into rework.lane (domain, operation)
    select domain, operation from compared
     where not exists (select from rework.lane
                        where lane.operation = compared.operation and lane.host is null and lane.capabilities = '{}')
    on conflict do nothing
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'register', format('operation %s.%s', compared.domain, compared.name),
           json_build_object('host', $2, 'kind', compared.kind, 'path', compared.path,
                             'interpreter', compared.interpreter, 'revision', placement.revision,
                             'version', compared.version,
                             'former_path', compared.former_path,
                             'changed', compared.what)
      from compared
      join placement on placement.operation = compared.operation
)
select compared.domain, compared.name, compared.unplaced as new, placement.revision, compared.version, compared.path,
       compared.former_path
  from compared
  join placement on placement.operation = compared.operation
 order by compared.domain, compared.name
