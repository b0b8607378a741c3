-- bulk_table: a table that is as rework's own in all that an insert pays for: columns, defaults,
-- indexes, checks, and the space that is left in its pages
create schema bare;
create table bare.task (like rework.task including all) with (fillfactor = 70);
