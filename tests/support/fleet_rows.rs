//! Inserts rows of operations, monitors and workers without starting any process, for tests of SQL statements.

use super::session::Session;

/// Inserts the operations `operation_<from>` to `operation_<to>` in domain `many`. Each gets a lane, and a placement on
/// each of the hosts.
pub(crate) fn insert_operations(session: &Session, from: i32, to: i32, hosts: &[&str]) {
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
    session.query_values::<i64>(sql, &[&from, &to, &hosts]);
}

/// Inserts worker 1 on host `a`, with monitor 1 and lease 1. The tables must be empty, because the ids come from their
/// sequences.
pub(crate) fn insert_worker_on_a(session: &Session) {
    session.execute(
        "insert into rework.lease (holder) values ('a');
         insert into rework.monitor (lease, host, boot_id, pid_ns, pid, pid_start, domains, options,
                                     containment, memory, version)
         values (1, 'a', 'boot', 'pid:[1]', 1, 1, '{many}', '{}', 'processes', 'sampled', '0');
         insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns)
         values (1, 1, 'a', 'many', 'boot', 'pid:[1]')",
    );
}

/// Marks all tasks as lost, all leases as swept and all monitors as finished.
pub(crate) fn finish_all(session: &Session) {
    session.execute(
        "update rework.task set state = 'lost', finished_at = now() where finished_at is null;
         update rework.lease set swept_at = now(); update rework.monitor set finished_at = now()",
    );
}
