-- schema_version: what the schema is, and the oldest that it serves
select schema, serves from rework.version
