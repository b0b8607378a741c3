-- schema_version: returns the version of the schema, and the oldest client version that the schema still serves.
select schema, serves from rework.version
