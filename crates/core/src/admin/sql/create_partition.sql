-- create_partition: the log of day $1 gets a partition
select rework.make_partition($1)::text
