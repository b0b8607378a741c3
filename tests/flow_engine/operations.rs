//! The operations of the random flows.

use std::collections::BTreeMap;

use crate::support::session::Session;

/// The domain of the operations.
const DOMAIN: &str = "flows";

/// The ids of the operations.
pub(crate) struct Operations {
    /// It executes steps.
    pub(crate) execute: i64,
    /// It reverts steps.
    pub(crate) undo: i64,
    /// It decides after failures.
    pub(super) decide: i64,
    /// No task of it can be made to execute a step.
    pub(super) refused: i64,
    /// No task of it can be made to revert a step.
    pub(super) refused_undo: i64,
    /// Why no tasks of operations can be made.
    pub(super) refusals: BTreeMap<i64, String>,
}

impl Operations {
    /// Inserts the operations, and an index by which the test finds the tasks of a flow.
    pub(crate) fn insert(session: &Session) -> Operations {
        session.execute("create index task_of_flow on rework.task (flow) where flow is not null");
        insert(session, "flow");
        let [execute, undo, decide, refused, refused_undo] =
            ["execute", "undo", "decide", "refused", "refused_undo"]
                .map(|name| insert(session, name));
        session.execute(
            "update rework.operation set run_before = '{missing}' where name like 'refused%'",
        );
        let reason = |id: i64| {
            let sql = "select rework.run_before_fault(o) from rework.operation o where id = $1";
            (id, session.query_value::<String>(sql, &[&id]))
        };
        let refusals = [refused, refused_undo].map(reason).into();
        Operations { execute, undo, decide, refused, refused_undo, refusals }
    }
}

/// Inserts one operation with a lane. Returns its id.
fn insert(session: &Session, name: &str) -> i64 {
    let sql = "with made as (
                   insert into rework.operation (domain, name, is_flow) values ($1, $2, $2 = 'flow')
                   returning id, domain
               ),
               lane as (insert into rework.lane (domain, operation) select domain, id from made)
               select id from made";
    session.query_value(sql, &[&DOMAIN, &name])
}
