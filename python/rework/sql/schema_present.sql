-- schema_present: returns whether the database has a rework schema of any version.
select to_regclass('rework.version') is not null
