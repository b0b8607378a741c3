-- import_record: records in the audit log that the tasks $2 and the schedules $3 of source $1 were imported.
insert into rework.audit (action, subject, detail)
values ('import', $1, json_build_object('tasks', $2::bigint[], 'schedules', $3::bigint[]))
