-- log: everything that runs write, as bytes. A row is a line, or a piece of a line: if a line stays without its newline
-- for a moment, what is written so far becomes a row, and the rest becomes further rows that continue it.
-- The table has one partition per UTC day, made by `rework.make_partition` (V18). Empty partitions of past days are
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
