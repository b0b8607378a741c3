-- audit: who changed what, and when. Commands that change something and `rework.abort` add rows.

create table rework.audit (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default now(),
    actor      text not null default session_user,   -- the database role
    action     text not null,            -- `register`, `unregister`, `abort`, `retry`, `pause`, …
    subject    text not null,            -- `operation images.resize`, `task 7`
    detail     json                      -- depends on the action
);
