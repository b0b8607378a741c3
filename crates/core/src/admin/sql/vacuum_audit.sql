-- vacuum_audit: that, and how much, was deleted
--
-- $1 of what, $2 how many, $3 milliseconds that they were old at least
insert into rework.audit (action, subject, detail)
values ('vacuum', $1, json_build_object('deleted', $2::bigint, 'older_than_ms', $3::bigint))
