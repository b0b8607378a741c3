//! A fleet that is in the books alone: no process of it runs.

use super::session::Session;

/// This many operations, each on every host, in the domain `many`.
pub(crate) fn operations(session: &Session, from: i32, to: i32, hosts: &[&str]) {
    let sql = "with operation as (
                   insert into rework.operation (domain, name)
                   select 'many', 'operation_' || n from generate_series($1::integer, $2::integer) n
                   returning id, domain
               ),
               lane as (insert into rework.lane (domain, operation) select domain, id from operation)
               insert into rework.placement (operation, host, kind, path)
               select operation.id, host, 'rust', '/srv/operations'
                 from operation, unnest($3::text[]) host
               returning id";
    session.all::<i64>(sql, &[&from, &to, &hosts]);
}

/// Worker 1, on host `a`, by lease 1.
pub(crate) fn worker_of_a(session: &Session) {
    session.run(
        "insert into rework.lease (holder) values ('a');
         insert into rework.monitor (lease, host, boot_id, pid_ns, pid, pid_start, domains, options,
                                     containment, memory, version)
         values (1, 'a', 'boot', 'pid:[1]', 1, 1, '{many}', '{}', 'processes', 'sampled', '0');
         insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns)
         values (1, 1, 'a', 'many', 'boot', 'pid:[1]')",
    );
}

/// Nothing of it is left open.
pub(crate) fn end_it(session: &Session) {
    session.run(
        "update rework.task set state = 'lost', finished_at = now() where finished_at is null;
         update rework.lease set swept_at = now(); update rework.monitor set finished_at = now()",
    );
}
