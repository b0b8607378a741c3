-- import_define: operations as another database had them, on no host yet; one that is here already stays as it is.
-- They can be scheduled; whoever registers their code on a host places them there
--
-- $1 a JSON array of {domain, name, input_schema, output_schema, timeout_ms}, $2 of which database
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
