-- schema_version: returns the version of the schema, the oldest binary (by its schema version) that the schema still
-- supports, and the numbers and checksums of the applied chapters (files of `migrations/`). Both arrays have the order
-- of the chapters.
select version.schema, version.serves, chapter.chapters, chapter.checksums
  from rework.version
 cross join (
    select coalesce(array_agg(version order by version), '{}') as chapters,
           coalesce(array_agg(checksum::text order by version), '{}') as checksums
      from rework.migration) as chapter
