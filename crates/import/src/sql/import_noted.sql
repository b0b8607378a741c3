-- import_noted: tasks $2 and schedules $3 of database $1 are imported
insert into rework.audit (action, subject, detail)
values ('import', $1, json_build_object('tasks', $2::bigint[], 'schedules', $3::bigint[]))
