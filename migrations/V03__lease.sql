-- lease: what workers live by. Somebody renews it; nobody reads its clock: observers watch whether
-- `renewals` moves. `epoch` changes when it is taken away.

create table rework.lease (
    id            bigint generated always as identity primary key,
    holder        text not null,         -- who renews it, in words: `monitor 3 on alpha`
    epoch         bigint not null default 1,
    renewals      bigint not null default 0,
    renewed_at    timestamptz not null default now()   -- for people, never for a verdict
) with (fillfactor = 50);
