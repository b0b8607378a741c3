-- schema_chapters: returns the migrations (chapters of the schema) that were applied to this database, with their
-- checksums.
select version, checksum::text as checksum from rework.migration
