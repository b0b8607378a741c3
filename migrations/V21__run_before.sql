-- run_before: makes new tasks wait for others: for tasks that the caller names (`schedule(after)`), and for tasks that
-- are made for this purpose, of the operations that `run_before` of their operation names. The edges between them are
-- in V20__edge.sql. The functions that insert tasks (V11, V16, V22, V23) call `wait_before` after they have inserted
-- them.

-- operation_near: returns the operation that a declaration of the operation `declarer` names: the one of its own
-- domain, else the only one of the other domains. Null if there is none, or if several other domains have one.
create function rework.operation_near(name text, declarer rework.operation) returns rework.operation
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    ids     bigint[];
    target  rework.operation;
begin
    select array_agg(o.id) into ids
      from rework.operation o
     where o.name = operation_near.name and o.unregistered_at is null
       and (o.domain = declarer.domain
            or not exists (select from rework.operation own
                            where own.name = operation_near.name and own.domain = declarer.domain
                              and own.unregistered_at is null));
    if cardinality(ids) = 1 then
        select o.* into target from rework.operation o where o.id = ids[1];
    end if;
    return target;
end $$;

-- missing_operation: returns why `operation_near` has found nothing, as a sentence.
create function rework.missing_operation(name text, declarer rework.operation) returns text
language sql immutable as $$
    select format('operation `%s` is registered neither in domain `%s` nor in exactly one other domain',
                  missing_operation.name, (declarer).domain)
$$;

-- run_before_fault: returns why no task of an operation can be scheduled because of its `run_before`, as a sentence;
-- null if one can. Tasks of `run_before` may themselves have tasks before them, up to ten levels. Ten is more than
-- anybody needs, and little enough to stop a circle.
create function rework.run_before_fault(op rework.operation, level integer default 1) returns text
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
declare
    name    text;
    before  rework.operation;
    fault   text;
begin
    foreach name in array op.run_before loop
        before := rework.operation_near(name, op);
        if before.id is null then
            return format('`run_before` of `%s`: %s', op.name, rework.missing_operation(name, op));
        elsif level = 10 and before.run_before <> '{}' then
            return format('`run_before` of `%s` is nested more than 10 levels deep: it may be a circle', op.name);
        end if;
        fault := rework.run_before_fault(before, level + 1);
        if fault is not null then
            return fault;
        end if;
    end loop;
    return null;
end $$;

-- wait_before: makes new tasks of the operation `op` wait: for the tasks `after`, and for tasks that this function
-- makes, one of each operation in `op.run_before`. These wait for the tasks `after`, too. The transaction that calls
-- this has inserted the tasks. Raises RW404 if a task of `after` does not exist, RW413 if there are too many, and RW400
-- if something makes no sense.
create function rework.wait_before(
    tasks          bigint[],
    op             rework.operation,
    after          bigint[],
    after_failure  text              -- `abort`, `run`; null means `abort`
) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    policy   text := coalesce(wait_before.after_failure, 'abort');
    unknown  bigint;
    fault    text;
begin
    if policy not in ('run', 'abort') then
        raise exception 'a task of `%` is refused: `after_failure` is `%`', op.name, left(policy, 60)
            using errcode = 'RW400', hint = 'pass `run` or `abort`';
    elsif cardinality(wait_before.after) > 1000 then
        raise exception 'a task of `%` is refused: it waits for more than 1000 tasks', op.name
            using errcode = 'RW413', hint = 'let it wait for tasks that wait for some of them each';
    elsif exists (select from unnest(wait_before.after) as given (id) where given.id is null) then
        raise exception 'a task of `%` is refused: one of the tasks that it waits for is null', op.name
            using errcode = 'RW400', hint = 'pass an array of ids';
    elsif exists (select from rework.task t
                   where t.id = any (tasks) and t.state || '' = 'delayed' and t.delayed_until is null) then
        raise exception 'a task of `%` is refused: it waits for other tasks, and is delayed until `infinity`', op.name
            using errcode = 'RW400', hint = 'choose one of the two';
    end if;
    fault := rework.run_before_fault(op);
    if fault is not null then
        raise exception 'a task of `%` is refused: %', op.name, fault
            using errcode = 'RW400', hint = 'see `rework list-operations`';
    end if;
    -- The lock keeps the predecessors until this transaction ends, and does not hold up their ends.
    perform from rework.task t where t.id = any (wait_before.after) order by t.id for key share;
    select given.id into unknown
      from unnest(wait_before.after) as given (id)
     where given.id = any (tasks) or not exists (select from rework.task t where t.id = given.id)
     order by given.id limit 1;
    if found then
        raise exception 'there is no task %, after which a task of `%` is to run', unknown, op.name
            using errcode = 'RW404', hint = 'see `rework list-tasks`';
    end if;
    perform rework.add_edges(tasks, op, wait_before.after, policy);
end $$;

-- add_edges: does the work of `wait_before`, whose checks have passed.
create function rework.add_edges(tasks bigint[], op rework.operation, after bigint[], after_failure text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    own          bigint[];   -- predecessors that this transaction has scheduled, so that nobody else has locked them
    awaited      bigint;     -- number of tasks that each of the tasks waits for
    why          text;       -- why the tasks are aborted at once
    name         text;
    before       rework.operation;
    before_lane  integer;
    before_ids   bigint[];
begin
    own := array(select t.id from rework.task t
                  where t.id = any (add_edges.after) and t.xmin = pg_current_xact_id()::xid);
    -- Other predecessors get this value by the poll.
    update rework.task t set followed = true where t.id = any (own) and not t.followed;
    -- One statement reads the states and counts: a predecessor may end at any time, also between two statements.
    with inserted as (
        insert into rework.edge (task, successor, after_failure, ended_as, followed_at, for_poll)
        select t.id, given.successor, add_edges.after_failure,
               case when ended.is_true then t.state end,
               case when ended.is_true then clock_timestamp() end,
               not ended.is_true and t.id <> all (own)
          from unnest(tasks) as given (successor)
         cross join rework.task t
         cross join lateral (select t.state || '' in ('done', 'failed', 'aborted', 'lost') as is_true) as ended
         where t.id = any (add_edges.after)
        returning task, ended_as, followed_at
    )
    select count(distinct task) filter (where followed_at is null),
           min(rework.abort_reason(task, ended_as))
               filter (where ended_as <> 'done' and add_edges.after_failure = 'abort')
      into awaited, why
      from inserted;
    if why is not null then
        update rework.task t set state = 'aborted', finished_at = clock_timestamp(), reason = why
         where t.id = any (tasks);
        -- Tasks that wait for these follow the abort by the poll.
        update rework.edge e set for_poll = true where e.task = any (tasks) and e.followed_at is null;
        return;
    end if;
    foreach name in array op.run_before loop
        before := rework.operation_near(name, op);
        before_lane := rework.lane_for(before, null, '{}');
        with made as materialized (
            select t.id as successor, t.priority, t.state, t.delayed_until,
                   t.followers_left / (cardinality(op.run_before) + 1) as followers_left, nextval('rework.task_id_seq') as id
              from rework.task t
             where t.id = any (tasks)
        ),
        inserted as (
            insert into rework.task (id, operation, lane, state, priority, delayed_until, followed, followers_left)
            overriding system value
            select id, before.id, before_lane, state, priority, delayed_until, true, followers_left
              from made order by made.id
        ),
        joined as (
            insert into rework.edge (task, successor, after_failure, for_poll)
            select id, successor, 'run', false from made order by made.id
        )
        select array_agg(id) into before_ids from made;
        if cardinality(add_edges.after) > 0 or before.run_before <> '{}' then
            perform rework.add_edges(before_ids, before, add_edges.after, add_edges.after_failure);
        end if;
        perform rework.notify_ready(before.domain);
        awaited := awaited + 1;
    end loop;
    if awaited > 0 then
        update rework.task t
           set state = 'waiting', awaits = awaited,
               followers_left = t.followers_left / (cardinality(op.run_before) + 1)
         where t.id = any (tasks);
    end if;
end $$;

revoke all on function rework.operation_near, rework.missing_operation, rework.run_before_fault, rework.wait_before,
    rework.add_edges from public;
