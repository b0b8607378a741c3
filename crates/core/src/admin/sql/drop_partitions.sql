-- drop_partitions: drops the partitions of the log table that are empty and whose day is past.
select rework.drop_partitions()::text
