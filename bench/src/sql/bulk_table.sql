-- bulk_table: creates a table with everything of rework.task that makes an insert slower: columns, defaults, indexes,
-- checks, and the free space in its pages.
create schema bare;
create table bare.task (like rework.task including all) with (fillfactor = 70);
