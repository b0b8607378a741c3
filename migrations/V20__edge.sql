-- edge: before and after. An edge says that one task, the successor, waits for the end of another one, the predecessor.
-- docs/tasks.md explains to users what follows the end of a task.
--
-- Two things follow an end, in the transaction that records it:
--   1. tasks are made of the operations that `run_after` or `on_failure` of its operation names (V22__followers.sql)
--   2. its successors wait for one task less. A successor that waits for none any more becomes ready, and one that
--      must not run after a failure is aborted, which in turn is an end (`release`)
-- The column `task.followed` says whether the end of a task has to be followed at all. So an end that nothing follows
-- costs nothing.
--
-- Locks. A transaction that follows the end of a task has changed that task before, and so has locked
-- it. Edges are changed only under the lock of their predecessor. Successors are locked with `skip locked`, so a
-- transaction that follows never waits for a lock, and cannot be part of a deadlock. An edge whose successor was locked
-- by another transaction is left to the poll of a monitor.
--
-- The poll (V17) reads the edges with `for_poll`. These are:
--   - new edges. `schedule(after)` locks a predecessor only `for key share`, so that an open transaction does not hold
--     up the recording of an end. So it cannot set `task.followed`, and an end that is recorded meanwhile does not find
--     the edge. The poll sets `task.followed` of a predecessor that has not ended, and follows one that has.
--   - edges whose successor was locked, and those behind the first 1000 edges of an end
-- `edge_for_poll` contains only these, so the poll costs nothing when there are none.

create table rework.edge (
    id             bigint generated always as identity primary key,
    task           bigint not null,      -- the predecessor
    successor      bigint not null,      -- the task that waits for its end
    after_failure  text not null check (after_failure in ('run', 'abort')),   -- what follows if it was not `done`
    ended_as       text,                 -- the state in which the predecessor ended, or `deleted`; null: not known yet
    followed_at    timestamptz,          -- since then the successor does not wait for it any more
    for_poll       boolean not null default true     -- whether the next poll reads it
);

create index edge_task on rework.edge (task);
create index edge_open on rework.edge (task, id) where followed_at is null;
create index edge_successor on rework.edge (successor);
create index edge_for_poll on rework.edge (id) where for_poll;

-- abort_reason: returns the reason of a task that is aborted because its predecessor ended without success.
create function rework.abort_reason(predecessor bigint, ended_as text) returns text
language sql immutable as $$
    select format('aborted because task %s %s', abort_reason.predecessor,
                  case abort_reason.ended_as when 'failed' then 'failed' else 'was ' || abort_reason.ended_as end)
$$;

-- waits_for: returns what a waiting task waits for, as a text for people: one task, and the number of the others.
create function rework.waits_for(successor bigint, awaits integer) returns text
language sql stable as $$
    select format('task %s (%s)', e.task, coalesce(p.state, 'deleted'))
           || case when waits_for.awaits > 1 then format(' and %s more', waits_for.awaits - 1) else '' end
      from rework.edge e
      left join rework.task p on p.id = e.task
     where e.successor = waits_for.successor and e.followed_at is null
     order by e.id limit 1
$$;

-- follow_edges: follows edges whose predecessors have ended. `ended_as` has the end of each: the state of the
-- predecessor, or `deleted`. The caller has locked the predecessors. Returns the successors that were aborted. Edges
-- whose successor is locked are left to the poll, which comes at once if `wake` is true.
create function rework.follow_edges(edges bigint[], ended_as text[], wake boolean) returns bigint[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    successors  bigint[] := array(select distinct e.successor from rework.edge e where e.id = any (edges));
    locked      bigint[];
    busy        bigint[];   -- successors that another transaction has locked
    aborted     bigint[];
    ready       text[];     -- domains with a task that is ready now
begin
    locked := array(
        select t.id from rework.task t
         where t.id = any (successors) and t.state || '' = 'waiting'
         order by t.id
           for no key update skip locked);
    -- A successor that does not wait, because it was aborted, retried or deleted, needs nothing.
    busy := array(
        select t.id from rework.task t
         where t.id = any (successors) and t.state || '' = 'waiting' and t.id <> all (locked));
    update rework.edge e
       set ended_as = given.ended_as, for_poll = e.successor = any (busy),
           followed_at = case when e.successor <> all (busy) then clock_timestamp() end
      from unnest(edges, follow_edges.ended_as) as given (id, ended_as)
     where e.id = given.id;
    with ended as materialized (
        select e.successor, count(*) as number,
               min(rework.abort_reason(e.task, e.ended_as))
                   filter (where e.ended_as <> 'done' and e.after_failure = 'abort') as reason
          from rework.edge e
         where e.id = any (edges) and e.successor = any (locked)
         group by e.successor
    ),
    changed as (
        update rework.task t
           set awaits = t.awaits - ended.number,
               state = case when ended.reason is not null then 'aborted'
                            when t.awaits > ended.number then 'waiting'
                            when t.delayed_until > clock_timestamp() then 'delayed'
                            else 'queued' end,
               position = case when ended.reason is null and t.awaits = ended.number
                               then nextval('rework.position') else t.position end,
               finished_at = case when ended.reason is not null then clock_timestamp() end,
               reason = coalesce(ended.reason, t.reason)
          from ended
         where t.id = ended.successor
        returning t.id, t.state, t.lane,
                  case when t.state = 'aborted' and t.notify_end then pg_notify('rework_end', t.id::text)::text end
    )
    select coalesce(array_agg(changed.id) filter (where changed.state = 'aborted'), '{}'),
           coalesce(array_agg(distinct lane.domain) filter (where changed.state = 'queued'), '{}')
      into aborted, ready
      from changed
      left join rework.lane on lane.id = changed.lane;
    perform rework.notify_ready(domain) from unnest(ready) as domain;
    if busy <> '{}' and follow_edges.wake then
        perform pg_notify('rework', 'follow');
    end if;
    return aborted;
end $$;

-- release: follows the edges of tasks that have ended, and those of the tasks that are aborted because of it. The
-- caller has locked the tasks. One call follows at most 1000 edges, so that the end of a task with many successors is
-- recorded quickly. The poll follows the rest. `wake` is passed on to `follow_edges`.
create function rework.release(tasks bigint[], wake boolean) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    ended     bigint[] := release.tasks;
    all_ended bigint[] := '{}';
    edges     bigint[];
    states    text[];
    number    integer := 0;    -- of edges that were followed
begin
    while ended <> '{}' and number < 1000 loop
        all_ended := all_ended || ended;
        select array_agg(found_edge.id), array_agg(found_edge.state), number + count(*) into edges, states, number
          from (select e.id, t.state::text as state
                  from rework.task t
                 cross join lateral (select e.id from rework.edge e
                                      where e.task = t.id and e.followed_at is null
                                      order by e.id limit 1000) as e
                 where t.id = any (ended) and t.state || '' in ('done', 'failed', 'aborted', 'lost')
                 limit 1000 - number) as found_edge;
        exit when edges is null;
        ended := rework.follow_edges(edges, states, release.wake);
    end loop;
    if number >= 1000 then
        all_ended := all_ended || ended;
        -- One edge is enough: the poll finds its predecessor, and calls this function again.
        update rework.edge e set for_poll = true
          from (select first.id
                  from unnest(all_ended) as given (task)
                 cross join lateral (select e.id from rework.edge e
                                      where e.task = given.task and e.followed_at is null
                                      order by e.id limit 1) as first) as rest
         where e.id = rest.id and not e.for_poll;
        if found then
            perform pg_notify('rework', 'follow');
        end if;
    end if;
end $$;

-- follow: does everything that follows the ends of tasks. `rework.complete` and `rework.abort` call it in the
-- transaction that ends the tasks, and so has locked them. `rework.complete` also passes tasks with an endless retry
-- policy when a round of their attempts has failed. These are `delayed`, so no edge is followed. Flows come last
-- (V29__flow_advance.sql).
create function rework.follow(tasks bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    perform rework.make_followers(tasks);
    perform rework.release(tasks, true);
    perform rework.advance(tasks);
end $$;

-- follow_missed: follows the edges that no end has followed, at most 1000. Each poll of a monitor calls it if there is
-- an edge with `for_poll`. A predecessor that another transaction has locked is left to the next poll. If there are
-- more edges, the next poll is requested at once, unless nothing could be done because everything was locked.
create function rework.follow_missed() returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    found_ids  bigint[];
    edges      bigint[];   -- new edges of predecessors that have not ended
    unended    bigint[];
    ended      bigint[];
    orphans    bigint[];   -- edges whose predecessor was deleted
    ends       text[];
begin
    select array_agg(known.edge),
           coalesce(array_agg(known.edge) filter (where not known.has_ended), '{}'),
           coalesce(array_agg(distinct known.task) filter (where not known.has_ended), '{}'),
           coalesce(array_agg(distinct known.task) filter (where known.has_ended), '{}')
      into found_ids, edges, unended, ended
      from (select e.id as edge, t.id as task, t.state || '' in ('done', 'failed', 'aborted', 'lost') as has_ended
              from rework.edge e
              join rework.task t on t.id = e.task
             where e.for_poll
             order by e.id
             limit 1000
               for no key update of t skip locked) as known;
    update rework.task t set followed = true where t.id = any (unended) and not t.followed;
    update rework.edge e set for_poll = false where e.id = any (edges);
    perform rework.release(ended, false);
    if cardinality(found_ids) = 1000
       and exists (select from rework.edge e where e.id = any (found_ids) and not e.for_poll) then
        perform pg_notify('rework', 'follow');
    end if;

    select array_agg(orphan.id), array_agg(orphan.ended_as) into orphans, ends
      from (select e.id, coalesce(e.ended_as, 'deleted') as ended_as
              from (select id from rework.edge where for_poll order by id limit 1000) as first
              join rework.edge e on e.id = first.id
             where e.for_poll and not exists (select from rework.task t where t.id = e.task)
             order by e.id
               for update of e skip locked) as orphan;
    if orphans is not null then
        perform rework.release(rework.follow_edges(orphans, ends, false), false);
        delete from rework.edge e where e.id = any (orphans) and e.followed_at is not null;
    end if;
end $$;

-- follow_deleted: follows the edges of tasks that are deleted, and deletes those edges. A task that had ended counts as
-- it ended; one that had not counts as a failure.
create function rework.follow_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
declare
    edges  bigint[];
    ends   text[];
begin
    select array_agg(e.id),
           array_agg(case when deleted.state in ('done', 'failed', 'aborted', 'lost') then deleted.state::text
                          else 'deleted' end)
      into edges, ends
      from deleted
      join rework.edge e on e.task = deleted.id and e.followed_at is null;
    if edges is not null then
        perform rework.release(rework.follow_edges(edges, ends, true), true);
    end if;
    delete from rework.edge e using deleted where e.task = deleted.id and e.followed_at is not null;
    return null;
end $$;

create trigger follow_deleted after delete on rework.task
    referencing old table as deleted for each statement execute function rework.follow_deleted();

revoke all on function rework.abort_reason, rework.follow_edges, rework.release, rework.follow, rework.follow_missed,
    rework.follow_deleted from public;
