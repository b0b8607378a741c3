-- schema_present: whether init-db was ever here
select to_regclass('rework.version') is not null
