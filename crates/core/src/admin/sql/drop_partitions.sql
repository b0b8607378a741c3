-- drop_partitions: partitions of the log that are empty and past are dropped
select rework.drop_partitions()::text
