-- overlapping_pauses: returns as JSON the pauses that may concern a task of domain $1 and operation $2 on host $3 (each
-- null: any), oldest first.
select pause.id, row_to_json(pause)::text as pause
  from rework.pause
 where (pause.domain is null or $1::text is null or pause.domain = $1)
   and (pause.operation is null or $2::text is null or pause.operation = $2)
   and (pause.host is null or $3::text is null or pause.host = $3)
 order by pause.id
