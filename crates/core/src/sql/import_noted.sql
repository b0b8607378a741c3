-- import_noted: tasks $2 of database $1 are imported
insert into rework.audit (action, subject, detail)
values ('import', $1, json_build_object('tasks', $2))
