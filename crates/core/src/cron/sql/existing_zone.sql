-- existing_zone: returns the time zone of a stored schedule, which operation $1 in domain $2 (null: the only domain
-- that has it), rule $3, host $4 (null: any) and the input identify. The input is $5 (JSON in canonical form) or $6
-- (bytes). No row if there is no such schedule. Raises RW404 if the operation is not registered, and RW300 if $2 is
-- null and several domains have it.
select s.zone
  from rework.schedule s
 where s.operation = (rework.operation_named($1, $2)).id and s.rule = $3 and coalesce(s.host, '') = coalesce($4, '')
   and s.fingerprint = md5(coalesce('json ' || $5, 'bytes ' || md5($6), 'none'))
