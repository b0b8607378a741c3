-- version: the number of this schema, and the schema number of the oldest binary that can still use it.
-- Each binary compares both with its own schema number when it connects (core/src/admin/schema.rs).

create table rework.version (
    single     boolean primary key default true check (single),   -- allows only one row
    schema     integer not null,
    serves     integer not null    -- schema number of the oldest binary that can use this schema
);

insert into rework.version (schema, serves) values (28, 28);
