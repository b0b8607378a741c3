-- standing_zone: the zone of the schedule of operation $1 in domain $2 by rule $3 for host $4, with input $5 (in the
-- form that equal ones share) or $6, if there is one
select s.zone
  from rework.schedule s
 where s.operation = (rework.operation_named($1, $2)).id and s.rule = $3 and coalesce(s.host, '') = coalesce($4, '')
   and s.fingerprint = md5(coalesce('json ' || $5, 'bytes ' || md5($6), 'none'))
