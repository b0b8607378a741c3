-- audit: who changed what.

create table rework.audit (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default now(),
    actor      text not null default session_user,
    action     text not null,            -- `register`, `unregister`, `abort`, `retry`, `vacuum`, …
    subject    text not null,            -- `operation images.resize`, `task 7`
    detail     json
);
