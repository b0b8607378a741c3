-- retry_policy: how often, when, and after which kinds of errors a failed task is tried again. The policy is the value
-- `retry` of a task, or else of its operation. docs/tasks.md is the manual. crates/wire/src/retry_policy.rs and
-- core/src/task/retry_pause.rs have the same rules in Rust, and tests/retry_policies.rs compares them.
--
-- A stored policy is a JSON object. All keys are optional:
--   attempts      maximum number of attempts; default: that of the operation
--   endless       whether the attempts are counted from 1 again after the last one
--   backoff       `exponential` (default) or `fixed`
--   first         pause after the first attempt; default 1s
--   factor        number from 1 to 1000 by which an exponential pause grows with each attempt; default 2
--   most          longest exponential pause; default 1h
--   list          pauses after the first attempt, after the second one and so on; the last one repeats. It replaces
--                 the four keys above
--   jitter        share of a pause that is added to it at random, from 0 to 1; default 0.1
--   on            kinds of errors: after other kinds there is no further attempt
--   not_on        kinds of errors: after these kinds there is no further attempt

-- duration_ms: returns the milliseconds of a duration such as `90s` or `1h30m`; null if the text is not a duration.
-- crates/wire/src/duration.rs reads the same texts.
create function rework.duration_ms(duration text) returns bigint
language sql immutable as $$
    select case
        when octet_length(duration_ms.duration) <= 60
             and duration_ms.duration ~ '^([0-9]{1,9}(ms|[dhms]))+$' then (
            select sum(part[1]::bigint * case part[2] when 'd' then 86400000 when 'h' then 3600000
                                                      when 'm' then 60000 when 's' then 1000 else 1 end)::bigint
              from regexp_matches(duration_ms.duration, '([0-9]{1,9})(ms|[dhms])', 'g') as part)
    end
$$;

-- retry_key_fault: returns why the value of one key of a policy is refused, as the end of a sentence; null if it is
-- accepted. The key must be one of those above. A missing key is accepted, and a JSON null counts as a missing key.
create function rework.retry_key_fault(key text, value json) returns text
language plpgsql immutable as $$
declare
    written  text := retry_key_fault.value::text;
    form     text := json_typeof(retry_key_fault.value);
    longest  bigint;    -- of the durations, in milliseconds
    is_valid boolean;
begin
    if form is null or form = 'null' then
        return null;
    elsif retry_key_fault.key in ('first', 'most') then
        longest := case when form = 'string' then rework.duration_ms(retry_key_fault.value #>> '{}') end;
        return case
            when longest is null then
                format('needs a duration such as `90s` or `1h30m` as `%s`', retry_key_fault.key)
            when longest > 31536000000 then format('has a `%s` of more than 365 days', retry_key_fault.key)
        end;
    elsif retry_key_fault.key = 'list' then
        if form = 'array' then
            select max(rework.duration_ms(item #>> '{}')), count(*) between 1 and 100
                   and bool_and(json_typeof(item) = 'string' and rework.duration_ms(item #>> '{}') is not null)
              into longest, is_valid
              from json_array_elements(retry_key_fault.value) as entry (item);
        end if;
        return case
            when is_valid is not true then 'needs 1 to 100 durations such as `90s` or `1h30m` as `list`'
            when longest > 31536000000 then 'has a `list` with a pause of more than 365 days'
        end;
    elsif retry_key_fault.key in ('on', 'not_on') then
        if form = 'array' then
            select count(*) between 1 and 100
                   and bool_and(json_typeof(item) = 'string' and octet_length(item #>> '{}') between 1 and 256)
              into is_valid
              from json_array_elements(retry_key_fault.value) as entry (item);
        end if;
        return case when is_valid is not true then
            format('needs 1 to 100 kinds of errors as `%s`', retry_key_fault.key)
        end;
    end if;
    return case retry_key_fault.key
        when 'attempts' then case when written !~ '^[1-9][0-9]{0,8}$' then
            'needs a whole number from 1 to 999999999 as `attempts`' end
        when 'endless' then case when form <> 'boolean' then 'needs `true` or `false` as `endless`' end
        when 'backoff' then case when written not in ('"exponential"', '"fixed"') then
            'needs `exponential` or `fixed` as `backoff`' end
        when 'factor' then case when rework.short_number(written) between 1 and 1000 then null
            else 'needs a number from 1 to 1000 as `factor`' end
        when 'jitter' then case when rework.short_number(written) between 0 and 1 then null
            else 'needs a number from 0 to 1 as `jitter`' end
    end;
end $$;

-- short_number: returns the value of a number in JSON that is not negative and has at most 40 characters; null for any
-- other text. Without these limits the conversion could fail, as for 1e999999.
create function rework.short_number(written text) returns numeric
language sql immutable as $$
    select case
        when octet_length(short_number.written) <= 40
             and short_number.written ~ '^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$'
        then short_number.written::numeric
    end
$$;

-- retry_fault: returns why a value is refused as a retry policy, as the end of a sentence; null if it is accepted.
-- Accepted are an object with the keys above, and the names `never`, `once` and `always`.
create function rework.retry_fault(retry json) returns text
language plpgsql immutable as $$
declare
    keys     constant text[] := array['attempts', 'endless', 'backoff', 'first', 'factor', 'most', 'list', 'jitter',
                                      'on', 'not_on'];
    written  text := retry_fault.retry::text;
    given    text[];    -- the keys of the value that are not null
    fault    text;
begin
    if octet_length(written) > 65536 then
        return 'is larger than 64 KiB';
    elsif strpos(written, '\u0000') > 0 then
        return 'contains the character NUL';
    elsif rework.json_fault(written) is not null then
        return rework.json_fault(written);
    elsif json_typeof(retry_fault.retry) = 'string'
          and retry_fault.retry #>> '{}' in ('never', 'once', 'always') then
        return null;
    elsif json_typeof(retry_fault.retry) <> 'object' then
        return 'is neither an object nor `never`, `once` or `always`';
    end if;
    select format('has the unknown key `%s`: %s', left(k, 60),
                  'its keys are `attempts`, `endless`, `backoff`, `first`, `factor`, `most`, `list`, `jitter`, `on` and `not_on`')
      into fault
      from json_object_keys(retry_fault.retry) as k
     where k <> all (keys)
     order by k
     limit 1;
    if found then
        return fault;
    end if;
    select rework.retry_key_fault(k.name, retry_fault.retry -> k.name) into fault
      from unnest(keys) with ordinality as k (name, number)
     where rework.retry_key_fault(k.name, retry_fault.retry -> k.name) is not null
     order by k.number
     limit 1;
    if found then
        return fault;
    end if;
    given := array(select k from unnest(keys) as k where retry_fault.retry ->> k is not null);
    return case
        when given @> array['on', 'not_on'] then 'has both `on` and `not_on`'
        when given @> array['list'] and given && array['backoff', 'first', 'factor', 'most'] then
            format('has both `list` and `%s`', (
                select k from unnest(array['backoff', 'first', 'factor', 'most']) with ordinality as other (k, number)
                 where k = any (given) order by number limit 1))
        when retry_fault.retry ->> 'backoff' = 'fixed' and given && array['factor', 'most'] then
            format('has `%s`, which a fixed pause does not use',
                   case when 'factor' = any (given) then 'factor' else 'most' end)
    end;
end $$;

-- checked_retry: returns a retry policy as it is stored: an object, also for `never`, `once` and `always`. Null for
-- null. Raises RW400 if the value is not a policy. `operation` is the name in the message.
create function rework.checked_retry(operation text, retry json) returns json
language plpgsql immutable as $$
declare
    fault  text;
begin
    if checked_retry.retry is null then
        return null;
    end if;
    fault := rework.retry_fault(checked_retry.retry);
    if fault is not null then
        raise exception 'a task of `%` is refused: its retry policy %', checked_retry.operation, fault
            using errcode = 'RW400', hint = 'for example retry => ''{"attempts": 5, "first": "10s"}''';
    end if;
    return case checked_retry.retry #>> '{}'
        when 'never' then '{"attempts":1}'::json
        when 'once' then '{"attempts":2}'::json
        when 'always' then '{"attempts":2,"endless":true}'::json
        else checked_retry.retry
    end;
end $$;

-- error_kind: returns the kind of an error. Postgres reads no value of a JSON text that has the character 0 anywhere.
-- So that character, written as an escape after an even number of backslashes, is left out.
create function rework.error_kind(error json) returns text
language sql immutable as $$
    select case when strpos(error_kind.error::text, '\u0000') = 0 then error_kind.error ->> 'kind'
                else regexp_replace(error_kind.error::text, '(?<!\\)((\\\\)*)\\u0000', '\1', 'g')::json ->> 'kind'
           end
$$;

-- is_retried: returns whether another attempt may follow after an error, whose key `kind` names its kind. An entry of
-- `on` or `not_on` is the whole kind, or its first words (`exit code` for `exit code 3`), or its last part after a dot
-- (`Timeout` for `requests.exceptions.Timeout`).
create function rework.is_retried(retry json, error json) returns boolean
language sql immutable as $$
    select coalesce(
        listed.is_on = exists (
            select from json_array_elements_text(listed.entries) as entry (name)
             where kind.name = entry.name
                or left(kind.name, length(entry.name) + 1) = entry.name || ' '
                or right(kind.name, length(entry.name) + 1) = '.' || entry.name),
        true)
      from (select rework.error_kind(is_retried.error) as name) as kind,
           (select case when is_retried.retry ->> 'on' is not null then is_retried.retry -> 'on'
                        when is_retried.retry ->> 'not_on' is not null then is_retried.retry -> 'not_on'
                   end as entries,
                   case when is_retried.retry ->> 'on' is not null then true
                        when is_retried.retry ->> 'not_on' is not null then false
                   end as is_on) as listed
$$;

-- retry_backoff: returns how long a task waits after attempt number `attempt`. `requested_ms` is the pause in
-- milliseconds that the error requests; if it is null, the policy decides. A null policy has all defaults. No pause is
-- longer than 365 days. `random` is a number from 0 to 1: the jitter keeps tasks that failed together from being
-- retried together.
--
-- The exponent is limited to 30, because `exp(30)` milliseconds are longer than the longest pause, and `exp` of a much
-- larger number would be an error.
create function rework.retry_backoff(retry json, attempt integer, requested_ms bigint, random double precision)
returns interval
language sql immutable as $$
    select least(
        coalesce(
            retry_backoff.requested_ms::double precision,
            round(case
                when json_typeof(retry_backoff.retry -> 'list') = 'array' then
                    rework.duration_ms(
                        retry_backoff.retry -> 'list'
                        ->> least(retry_backoff.attempt, json_array_length(retry_backoff.retry -> 'list')) - 1)
                when retry_backoff.retry ->> 'backoff' = 'fixed' then
                    coalesce(rework.duration_ms(retry_backoff.retry ->> 'first'), 1000)
                else least(
                    coalesce(rework.duration_ms(retry_backoff.retry ->> 'most'), 3600000)::double precision,
                    coalesce(rework.duration_ms(retry_backoff.retry ->> 'first'), 1000)
                    * exp(least((retry_backoff.attempt - 1)
                                * ln(coalesce((retry_backoff.retry ->> 'factor')::double precision, 2)),
                                30)))
            end * (1 + coalesce((retry_backoff.retry ->> 'jitter')::double precision, 0.1) * retry_backoff.random))),
        31536000000)
    * interval '1 millisecond'
$$;

revoke all on function rework.duration_ms, rework.retry_key_fault, rework.short_number, rework.retry_fault,
    rework.checked_retry, rework.error_kind, rework.is_retried, rework.retry_backoff from public;
