-- bare_schedule: inserts $1 ready tasks.
insert into task (operation, lane, state, position, input)
select 1, 1, 'queued', n, '{"n": 1}' from generate_series(1, $1::bigint) n
