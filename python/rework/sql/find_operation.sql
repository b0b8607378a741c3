-- find_operation: returns the operation with name `:name` in domain `:domain` (null: the only domain that has it).
-- Raises RW404 if it is not registered, and RW300 if `:domain` is null and several domains have it.
select id, domain, cast(input_schema as text)
  from rework.operation_named(cast(:name as text), cast(:domain as text))
