-- log: everything that runs write, as bytes. A row is a line, or a piece of a line: if a line stays without its newline
-- for a moment, what is written so far becomes a row, and the rest becomes further rows that continue it.
-- The table has one partition per UTC day, made by `rework.make_partition`. Empty partitions of past days are
-- dropped.

create sequence rework.log_id;

create table rework.log (
    id         bigint not null default nextval('rework.log_id'),   -- ascends; a reader continues after the last one
    at         timestamptz not null,
    task       bigint not null,
    run        bigint not null,
    stream     text not null,            -- `stdout`, `stderr`, `shared`, `rework`, or a logger's name
    level      text not null check (level in ('ERROR', 'WARNING', 'INFO', 'DEBUG', 'TRACE')),
    line       bytea not null,           -- without its newline
    whole      boolean not null default true,   -- whether a newline followed
    continues  boolean not null default false   -- whether the row before it with the same run, stream and level is a
                                                -- piece of the same line
) partition by range (at);

create index log_task on rework.log (task, id);

-- For a reader that follows all tasks. Ids grow with time, so a small BRIN index finds the newest pages.
create index log_recent on rework.log using brin (id) with (pages_per_range = 16, autosummarize = on);

-- Receives the lines of days that have no partition.
create table rework.log_default partition of rework.log default;

-- log_line: the log with one row for each line, for people who read it by SQL. `id` is that of the last row of the
-- line, `at` is the time of the first. Restrict it to a task: the lines of other tasks are not read then.
create view rework.log_line as
select max(id) as id, min(at) as at, task, run, stream, level,
       string_agg(line, ''::bytea order by id) as line, bool_or(whole) as whole
  from (select log.id, log.at, log.task, log.run, log.stream, log.level, log.line, log.whole,
               -- Counts the beginnings of lines, so that all pieces of a line get the same number.
               count(*) filter (where not log.continues)
                   over (partition by log.task, log.run, log.stream, log.level order by log.id) as number
          from rework.log) as piece
 group by task, run, stream, level, number;

-- The functions that create and drop partitions run with the rights of their owner, so that no other role needs the
-- right to create or drop tables.

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
