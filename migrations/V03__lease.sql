-- lease: what workers live by. Somebody renews it; nobody reads its clock: observers watch whether
-- `renewals` moves. `epoch` changes when it is taken away.

create table rework.lease (
    id            bigint generated always as identity primary key,
    holder        text not null,         -- who renews it, in words: `monitor 3 on alpha`
    epoch         bigint not null default 1,
    renewals      bigint not null default 0,
    length_ms     bigint not null default 20000 check (length_ms between 1 and 3600000),  -- what follows from it: wire/src/lease.rs
    renewed_at    timestamptz not null default now(),  -- for people, never for a verdict
    taken_at      timestamptz,           -- when it was taken away
    swept_at      timestamptz            -- nobody lives by it any more, and nothing of who did can come to light
) with (fillfactor = 50);

create index lease_taken on rework.lease (taken_at) where taken_at is not null and swept_at is null;

-- The ring in which each monitor watches those that follow its own: tick.
create index lease_ring on rework.lease (hashint8(id), id) where taken_at is null and swept_at is null;
