-- operation: the one of this name, and of this domain where one is given
select id, domain, cast(input_schema as text)
  from rework.operation_named(cast(:name as text), cast(:domain as text))
