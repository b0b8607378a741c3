-- import_source: identifies a database from which tasks are to be imported. Returns whether it has our own schema,
-- whether it has the schema of the Python rework, and which columns of the Python schema it lacks.
--
-- `identity` is the same for all DSNs that lead to this database: the identifier of the server, the name of the
-- database, and the oid of the table `task`. The oid changes if the schema is dropped and created again.
select current_database()::text as database,
       (select c.system_identifier from pg_control_system() c)::text || '/' || current_database()
           || '/' || coalesce(to_regclass('rework.task')::oid, 0) as identity,
       to_regclass('rework.version') is not null as has_own_schema,
       to_regclass('rework.sched') is not null and to_regclass('rework.operation') is not null
           and to_regclass('rework.task') is not null and to_regclass('rework.monitor') is not null as has_python_schema,
       array(select format('`%s.%s`', needed.relation, needed.field)
               from (values ('operation', 'id'), ('operation', 'host'), ('operation', 'name'), ('operation', 'domain'),
                            ('operation', 'timeout'), ('operation', 'inputs'), ('operation', 'outputs'),
                            ('sched', 'id'), ('sched', 'operation'), ('sched', 'domain'), ('sched', 'inputdata'),
                            ('sched', 'host'), ('sched', 'metadata'), ('sched', 'rule'),
                            ('task', 'id'), ('task', 'operation'), ('task', 'input'), ('task', 'status'),
                            ('task', 'abort'), ('task', 'metadata'), ('monitor', 'lastseen')) as needed (relation, field)
              where not exists (select from pg_attribute a
                                 where a.attrelid = to_regclass('rework.' || needed.relation)
                                   and a.attname = needed.field and not a.attisdropped)) as missing
