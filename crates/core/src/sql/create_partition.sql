-- create_partition: the log of one day. NAME, FROM_DAY and TO_DAY are filled in: DDL takes no parameters.
-- Another session may make it at the same moment; a default partition that holds lines of the day
-- already, or a lock that is not to be had, leave it unmade, which loses nothing.
do $$
begin
    if to_regclass('rework.NAME') is null then
        set local lock_timeout = '200ms';
        create table rework.NAME partition of rework.log
            for values from ('FROM_DAY 00:00:00+00') to ('TO_DAY 00:00:00+00');
    end if;
exception when duplicate_table or check_violation or lock_not_available then
    null;
end $$
