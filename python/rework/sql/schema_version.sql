-- schema_version: what the schema is, and the oldest client that it serves
select schema, serves from rework.version
