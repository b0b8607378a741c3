-- schema_version: the number of the schema, the oldest one that it serves, and its chapters with their checksums
select version.schema, version.serves, chapter.chapters, chapter.checksums
  from rework.version
 cross join (
    select coalesce(array_agg(version order by version), '{}') as chapters,
           coalesce(array_agg(checksum::text order by version), '{}') as checksums
      from rework.migration) as chapter
