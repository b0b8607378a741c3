-- bare_schedule: $1 ready tasks in one commit
insert into task (operation, lane, state, position, input)
select 1, 1, 'queued', n, '{"n": 1}' from generate_series(1, $1::bigint) n
