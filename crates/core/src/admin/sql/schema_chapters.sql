-- schema_chapters: the chapters of the schema that are there
select version, checksum::text as checksum from rework.migration
