-- followers: makes the tasks that follow the end of a task because its operation declares `run_after` or `on_failure`.
-- The declaration is read when the task ends. A task that was scheduled before its operation declared anything is not
-- followed, unless another task waits for it: `task.followed` is set when it is scheduled, or by the poll (V20).

-- declared_inputs: returns the names of the inputs that a schema declares. Null if it declares none by name, or if
-- Postgres cannot read it, which it cannot if a text in it has the character 0.
create function rework.declared_inputs(schema json) returns text[]
language plpgsql immutable set search_path = pg_catalog, rework, pg_temp as $$
begin
    if json_typeof(schema -> 'properties') = 'object' then
        return array(select json_object_keys(schema -> 'properties'));
    end if;
    return null;
exception when data_exception or statement_too_complex then
    return null;
end $$;

-- follower_input: returns the input of a task that follows one with this output: the output if it is an object, else
-- an object with the output as `result`. Only the inputs in `declared` are kept; null: all. Null if Postgres cannot
-- read the output, which it cannot if a text in it has the character 0 and some inputs are to be left out.
create function rework.follower_input(output json, declared text[]) returns json
language plpgsql immutable set search_path = pg_catalog, rework, pg_temp as $$
declare
    whole  json := case when json_typeof(output) = 'object' then output else json_build_object('result', output) end;
begin
    if declared is null then
        return whole;
    end if;
    return (select coalesce(json_object_agg(field.key, field.value order by field.number), '{}')
              from json_each(whole) with ordinality as field (key, value, number)
             where field.key = any (declared));
exception when data_exception or statement_too_complex then
    return null;
end $$;

-- make_followers: makes the tasks that follow the ends of `tasks`, of the operations that `run_after` (after `done`) or
-- `on_failure` (after `failed` or `lost`) names. A task that is `delayed` has an endless retry policy, and a round of
-- its attempts has failed, so `on_failure` applies. Each follower has the task that it follows as its parent, and a
-- negative number: the children that a run scheduled itself have positive ones. So it is made only once for each run. A
-- follower that cannot be made is recorded in the log of its parent. It never makes the end fail.
--
-- Followers of followers may form a circle. So at most 1000 tasks follow one task, directly or indirectly, which is more
-- than declarations need: `followers_left` has how many still may, and the followers of an end divide that number.
create function rework.make_followers(tasks bigint[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    wanted       record;
    declarer     rework.operation;
    target       rework.operation;
    target_lane  integer;
    declared     text[];
    fault_of_all text;
    made         bigint[];
begin
    for wanted in
        select o.id as operation, listed.name, listed.number, t.state = 'done' as is_done,
               array_agg(t.id order by t.id) as tasks, listed.count
          from rework.task t
          join rework.operation o on o.id = t.operation
         cross join lateral (select case when t.state = 'done' then o.run_after
                                         when t.state in ('failed', 'lost', 'delayed') then o.on_failure
                                         else '{}' end as names) as declared_names
         cross join lateral (select name, number, cardinality(names)::integer as count
                               from unnest(names) with ordinality as u (name, number)) as listed
         where t.id = any (make_followers.tasks)
         group by o.id, listed.name, listed.number, listed.count, t.state = 'done'
         order by o.id, listed.number
    loop
        select o.* into declarer from rework.operation o where o.id = wanted.operation;
        target := rework.operation_near(wanted.name, declarer);
        fault_of_all := case when target.id is null then rework.missing_operation(wanted.name, declarer)
                             else rework.run_before_fault(target) end;
        if fault_of_all is null then
            target_lane := rework.lane_for(target, null, '{}');
            declared := rework.declared_inputs(target.input_schema);
        end if;
        with given as materialized (
            select t.id, t.run, (t.followers_left - wanted.count) / wanted.count as followers_left,
                   t.followers_left < wanted.count as are_too_many,
                   case when fault_of_all is not null or wanted.is_done and t.output_bytes is not null then null
                        when wanted.is_done then rework.follower_input(t.output, declared)
                        else (select coalesce(json_object_agg(field.key, field.value order by field.number), '{}')
                                from (values (1, 'job_failed', to_json(format('task %s failed', declarer.name))),
                                             (2, 'task', to_json(t.id)),
                                             (3, 'reason', to_json(t.reason)),
                                             (4, 'error', t.error)) as field (number, key, value)
                               where declared is null or field.key = any (declared)) end as input,
                   case when wanted.is_done then t.output_bytes end as input_bytes
              from rework.task t
             where t.id = any (wanted.tasks)
        ),
        checked as materialized (
            select given.*,
                   case when fault_of_all is not null then fault_of_all
                        when are_too_many then 'more than 1000 tasks would follow one task: it may be a circle'
                        when input is null and input_bytes is null then 'Postgres cannot read its input'
                        when octet_length(input::text) > 104857600 then 'its input is larger than 100 MiB'
                        else 'its input ' || rework.json_fault(input::text) end as fault
              from given
        ),
        recorded as (
            insert into rework.log (at, task, run, stream, level, line)
            select clock_timestamp(), id, run, 'rework', 'WARNING',
                   convert_to(format('the follower `%s` is not scheduled: %s', wanted.name, fault), 'UTF8')
              from checked
             where fault is not null
        ),
        inserted as (
            insert into rework.task (operation, lane, state, priority, input, input_bytes, parent, parent_run,
                                     parent_number, followed, followers_left)
            select target.id, target_lane, 'queued', target.priority, input, input_bytes, id, run,
                   -wanted.number::integer, target.run_after <> '{}' or target.on_failure <> '{}',
                   followers_left
              from checked
             where fault is null
             order by checked.id
            on conflict do nothing
            returning id
        )
        select array_agg(id) into made from inserted;
        if made is not null then
            if target.run_before <> '{}' then
                perform rework.wait_before(made, target, null, null);
            end if;
            perform rework.notify_ready(target.domain);
        end if;
    end loop;
end $$;

revoke all on function rework.declared_inputs, rework.follower_input, rework.make_followers from public;
