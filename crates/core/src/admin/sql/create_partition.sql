-- create_partition: creates the partition of the log table for day $1, unless it exists.
select rework.make_partition($1)::text
