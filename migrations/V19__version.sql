-- version: what this schema is, and the oldest binary's schema version that it still serves.

create table rework.version (
    single     boolean primary key default true check (single),
    schema     integer not null,
    serves     integer not null
);

insert into rework.version (schema, serves) values (19, 19);
