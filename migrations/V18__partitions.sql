-- partitions: functions that create and drop the partitions of the log. They run with the rights of their owner, so
-- that no other role needs the right to create or drop tables.

-- make_partition: creates the partition of the log for one UTC day, if the day is at most 31 days away. It does nothing
-- if another session created it at the same time, if the default partition has lines of the day already, or if a lock
-- is not free within 200 ms. No line is lost: without a partition, lines go to the default partition.
create function rework.make_partition(day date) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp set lock_timeout = '200ms' as $$
declare
    name  text := 'log_' || to_char(day, 'YYYYMMDD');
begin
    if abs(day - (now() at time zone 'UTC')::date) <= 31 and to_regclass('rework.' || name) is null then
        execute format('create table rework.%I partition of rework.log for values from (%L) to (%L)', name,
                       day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    end if;
exception when duplicate_table or check_violation or lock_not_available then
    null;
end $$;

-- drop_partitions: drops partitions of the log that are empty and older than yesterday, to which no run writes.
-- A partition whose lock is not free within 200 ms stays until the next call.
create function rework.drop_partitions() returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp set lock_timeout = '200ms' as $$
declare
    log_partition  regclass;
    has_lines      boolean;
begin
    for log_partition in
        select i.inhrelid::regclass
          from pg_inherits i
          join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'rework.log'::regclass
           and c.relname ~ '^log_[0-9]{8}$'
           and c.relname < 'log_' || to_char(now() at time zone 'UTC' - interval '1 day', 'YYYYMMDD')
    loop
        begin
            -- First without a lock, so that a partition that is in use is not locked. Then again under the lock.
            execute format('select exists (select from %s)', log_partition) into has_lines;
            continue when has_lines;
            execute format('lock table %s in access exclusive mode', log_partition);
            execute format('select exists (select from %s)', log_partition) into has_lines;
            if not has_lines then
                execute format('drop table %s', log_partition);
            end if;
        exception when lock_not_available or undefined_table then
            null;
        end;
    end loop;
end $$;

revoke all on function rework.make_partition, rework.drop_partitions from public;
