-- sweep_lanes: deletes the lanes (numbers for what tasks need of a host) that are older than $1 milliseconds and that
-- no task needs any more. Returns how many. The transaction must be at `read committed`.
select rework.sweep_lanes($1 * interval '1 millisecond') as swept
