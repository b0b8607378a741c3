-- lane: what a task needs of a host (operation, pinned host, capabilities), as one small integer.
-- It stands first in the index of what is ready, so that a worker looks only into the lanes that
-- it can serve and skips no row that it cannot.
--
-- served: the lanes that a host can serve, as ranges of their numbers in which there is no other. A worker asks the
-- index of what is ready for the first lane of a range in which there is something, so that it costs
-- nothing how many others there are. A range may come to hold a lane that its host does not serve, where both
-- were made at the same moment: whoever finds a task by it looks whether the host may run it.

create table rework.lane (
    id              integer primary key,
    domain          text not null,
    operation       bigint not null references rework.operation,
    host            text,
    capabilities    text[] not null default '{}'
);

create unique index lane_needs on rework.lane (operation, coalesce(host, ''), capabilities);

create table rework.served (
    host            text not null,
    domain          text not null,
    capabilities    text[] not null,    -- what the host must have
    low             integer not null,
    high            integer not null
);

create index served_by on rework.served (host, domain, low);

create sequence rework.lane_number;

-- Lanes that the same hosts are likely to serve get numbers that follow one another.
create function rework.number_lane() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    new.id := (hashtext(format('%s/%s/%s', new.domain, new.host, new.capabilities)) & 131071) << 14
              | (nextval('rework.lane_number') % 16383)::integer;
    return new;
end $$;

-- One that has a number is put back by whoever restores a backup.
create trigger number_lane before insert on rework.lane
    for each row when (new.id is null) execute function rework.number_lane();

-- Whoever makes a lane adds it to what hosts serve, and waits for nobody.
create function rework.serve_lanes() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    insert into rework.served (host, domain, capabilities, low, high)
    select p.host, made.domain, made.capabilities, made.id, made.id
      from made
      join rework.placement p on p.operation = made.operation
     where (made.host is null or made.host = p.host)
       and not exists (select from rework.served s
                        where s.host = p.host and s.domain = made.domain and s.capabilities = made.capabilities
                          and made.id between s.low and s.high);
    return null;
end $$;

create trigger serve_lanes after insert on rework.lane
    referencing new table as made for each statement execute function rework.serve_lanes();

-- What hosts serve in domains, anew: a pair of each at the same place.
create function rework.serve(hosts text[], domains text[]) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    -- One after the other, so that each sees what it takes away.
    perform pg_advisory_xact_lock(hashtext('rework.served'));
    delete from rework.served s
     using unnest(hosts, domains) as changed (host, domain)
     where s.host = changed.host and s.domain = changed.domain;
    insert into rework.served (host, domain, capabilities, low, high)
    with own as (
        select changed.host, lane.domain, lane.capabilities, lane.id,
               lag(lane.id) over (partition by changed.host, lane.domain, lane.capabilities order by lane.id) as before
          from unnest(hosts, domains) as changed (host, domain)
          join rework.placement p on p.host = changed.host
          join rework.lane on lane.operation = p.operation and lane.domain = changed.domain
         where lane.host is null or lane.host = changed.host
    ),
    numbered as (
        select own.*,
               count(*) filter (where before is null
                                   or before >> 14 <> id >> 14
                                   or exists (select from rework.lane other where other.id > before and other.id < own.id))
                   over (partition by host, domain, capabilities order by id) as range
          from own
    )
    select host, domain, capabilities, min(id), max(id)
      from numbered
     group by host, domain, capabilities, range;
end $$;

create function rework.serve_placements() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    perform rework.serve(array_agg(pair.host), array_agg(pair.domain))
       from (select distinct changed.host, o.domain
               from changed
               join rework.operation o on o.id = changed.operation) as pair
     having count(*) > 0;
    return null;
end $$;

create trigger serve_added after insert on rework.placement
    referencing new table as changed for each statement execute function rework.serve_placements();
create trigger serve_removed after delete on rework.placement
    referencing old table as changed for each statement execute function rework.serve_placements();

-- mend_served: a lane and a placement that are made or removed at the same moment do not see each other, so the ranges of a host may
-- come to hold a lane that it does not serve, or to lack one that it does. The first is harmless, since a claim checks each lane that it
-- finds; the second delays the tasks of that lane. So each monitor compares the ranges of its host with its lanes once a minute, and has
-- the ranges of every domain in which they differ computed anew.
create function rework.mend_served(host text) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    -- Somebody else is changing ranges: the next minute is soon enough.
    if not pg_try_advisory_xact_lock(hashtext('rework.served')) then
        return;
    end if;
    perform rework.serve(array_agg(mend_served.host), array_agg(differs.domain))
       from (with held as (
                select s.domain, s.capabilities, lane.id
                  from rework.served s
                  join rework.lane on lane.id between s.low and s.high
                 where s.host = mend_served.host
             ),
             served as (
                select lane.domain, lane.capabilities, lane.id
                  from rework.placement p
                  join rework.lane on lane.operation = p.operation
                 where p.host = mend_served.host and (lane.host is null or lane.host = mend_served.host)
             )
             select distinct domain
               from ((select * from held except select * from served)
                     union all
                     (select * from served except select * from held)) as lanes) as differs
     having count(*) > 0;
end $$;

revoke all on function rework.number_lane, rework.serve_lanes, rework.serve, rework.serve_placements,
    rework.mend_served from public;
