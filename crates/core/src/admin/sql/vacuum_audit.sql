-- vacuum_audit: records in the audit log that $2 rows were deleted. $1 is the kind and the domain of the rows, as text,
-- and $3 their minimum age in milliseconds.
insert into rework.audit (action, subject, detail)
values ('vacuum', $1, json_build_object('deleted', $2::bigint, 'older_than_ms', $3::bigint))
