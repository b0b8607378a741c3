-- import_create_operations: creates the operations of the source that do not exist yet, and returns them. Existing ones
-- are not changed. The new operations have no placement (no host can run them), so their tasks can be scheduled but not
-- run: registering their code on a host creates a placement there.
--
-- $1 a JSON array of {domain, name, input_schema, output_schema, timeout_ms}, $2 the identity of the source
with given as (
    select *
      from json_to_recordset($1::json)
               as row_ (domain text, name text, input_schema json, output_schema json, timeout_ms bigint)
),
defined as (
    insert into rework.operation (domain, name, input_schema, output_schema, timeout_ms)
    select domain, name, input_schema, output_schema, timeout_ms
      from given
     order by domain, name
    on conflict (domain, name) do nothing
    returning id, domain, name
),
lane as (
    insert into rework.lane (domain, operation)
    select domain, id from defined
    on conflict do nothing
),
audited as (
    insert into rework.audit (action, subject, detail)
    select 'import', format('operation %s.%s', domain, name), json_build_object('from', $2::text)
      from defined
)
select domain, name from defined
