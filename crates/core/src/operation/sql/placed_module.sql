-- placed_module: returns the module with which host $2 runs operation $1. No row if the operation is not registered
-- there.
select p.id, p.kind, p.path, p.interpreter
  from rework.placement p
 where p.operation = $1 and p.host = $2
