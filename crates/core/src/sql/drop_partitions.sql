-- drop_partitions: drops partitions of the log that hold no line and lie before yesterday, so that
-- nobody writes to them any more. A lock that is not to be had, or a right that is missing, leaves
-- one where it is, which loses nothing.
do $$
declare
    old   regclass;
    used  boolean;
begin
    for old in
        select i.inhrelid::regclass
          from pg_inherits i
          join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'rework.log'::regclass
           and c.relname ~ '^log_[0-9]{8}$'
           and c.relname < 'log_' || to_char(now() at time zone 'UTC' - interval '1 day', 'YYYYMMDD')
    loop
        begin
            execute format('select exists (select from %s)', old) into used;
            continue when used;
            set local lock_timeout = '200ms';
            execute format('lock table %s in access exclusive mode', old);
            execute format('select exists (select from %s)', old) into used;
            if not used then
                execute format('drop table %s', old);
            end if;
        exception when lock_not_available or insufficient_privilege or undefined_table then
            null;
        end;
    end loop;
end $$
