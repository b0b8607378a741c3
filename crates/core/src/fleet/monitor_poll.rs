//! The poll of a monitor: one round trip per second, in which it reports what it measured and receives everything that
//! it has to react to. It calls the SQL function `rework.monitor_poll` (`migrations/V17__monitor_poll.sql`).
//!
//! Notifications only make the next poll come earlier. If one is lost, the next regular poll replaces it.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use tokio_postgres::types::{Json, Type};

use crate::{
    db::{
        connect::{Db, Param},
        error::{Error, Result},
        row::Columns,
    },
    fleet::stop_worker::StopMode,
    lease::row::{Lease, LeaseSnapshot},
};
use rework_wire::lease::LeaseTerms;

/// The request of a poll.
#[derive(Debug, Clone)]
pub struct PollRequest {
    pub monitor: i64,
    pub lease: Lease,
    /// The terms of the lease. They also limit how long the poll may take.
    pub terms: LeaseTerms,
    /// The number of renewals that the monitor knows to be stored. If the database has fewer, it has gone back to an
    /// earlier state, and renews nothing.
    pub known_renewals: i64,
    /// Whether to renew the lease.
    pub renew_lease: bool,
    /// The id of the recovery of the server after which the monitor has compared the runs of its workers with the
    /// database. `None` if there is none.
    pub checked_recovery: Option<i64>,
    /// The domains in which the monitor has an idle worker, so that new tasks there are notified. `None` if they have
    /// not changed.
    pub idle_domains: Option<Vec<String>>,
    /// The workers of the monitor, including those of earlier monitors that it took over.
    pub workers: Vec<i64>,
    /// The resource usage of workers, where it has changed.
    pub usage: Vec<WorkerUsage>,
    /// Workers that died recently. A claim that one of them sent may still be committed after its death.
    pub dead_workers: Vec<i64>,
    pub host: String,
    /// The capabilities that the host offers.
    pub capabilities: Vec<String>,
    /// The domains in which to count ready tasks, each with the number up to which to count in a
    /// range of lanes. A lane has the waiting tasks that need the same thing of a host.
    pub count_ready: Vec<(String, i64)>,
    /// All domains that the monitor serves, in order to find others that its host can run. `None`
    /// if the monitor must not serve others.
    pub known_domains: Option<Vec<String>>,
    /// Whether all runs of the monitor's workers are to be aborted.
    pub abort_all: bool,
    /// The domains whose schedules the monitor fires.
    pub schedule_domains: Vec<String>,
    /// Whether to return leases of other monitors to observe.
    pub watch_leases: bool,
}

/// The resource usage of a worker and all its descendants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerUsage {
    pub worker: i64,
    /// The resident memory in bytes.
    pub memory_bytes: i64,
    /// The processor time in percent of one processor.
    pub cpu_percent: i32,
}

/// The reply to a poll.
#[derive(Debug, Clone, Default)]
pub struct PollReply {
    /// The number of renewals of the lease. `None` if the lease does not belong to the monitor any more.
    pub renewals: Option<i64>,
    /// The id of a recovery of the server that is in progress: nothing is claimed until all runs are compared with the
    /// database. `None` if there is none.
    pub recovery: Option<i64>,
    /// The first holders of leases that have not compared their runs yet, for people, such as `monitor 3 on alpha`.
    pub unchecked: Vec<String>,
    /// Workers of the monitor that the database does not have, because it has gone back to an earlier state. Only
    /// during a recovery.
    pub missing_workers: Vec<i64>,
    /// The number of delayed tasks that became ready. If it is [`MAX_PROMOTED`], more tasks may be due.
    pub promoted: i64,
    /// Runs of the monitor's workers that must be aborted.
    pub aborts: Vec<RunToAbort>,
    /// Workers that a user wants to stop.
    pub worker_requests: Vec<WorkerRequest>,
    /// The domains that have ready tasks.
    pub waiting: Vec<DomainQueue>,
    /// The dead workers that still have a run.
    pub late_claims: Vec<i64>,
    /// Domains that the host of the monitor can run and that the monitor does not serve yet.
    pub new_domains: Vec<String>,
    /// Whether a schedule is due.
    pub schedule_is_due: bool,
    /// Leases of other monitors and workers that this monitor observes.
    pub leases: Vec<(LeaseSnapshot, LeaseTerms)>,
    /// Whether a lease was taken away, and the runs that depended on it may not be recorded as
    /// lost yet.
    pub sweep_is_due: bool,
    /// The pauses that concern the host of the monitor, oldest first.
    pub pauses: Vec<HostPause>,
}

/// A run that must be aborted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunToAbort {
    /// The worker that has the run.
    pub worker: i64,
    pub task: i64,
    pub run: i64,
    /// Whether a user requested the abort. If not, the run is returned because of [`PollRequest::abort_all`].
    pub requested: bool,
    /// The reason of the request, for people. `None` if no user requested the abort.
    pub reason: Option<String>,
}

/// A worker that a user wants to stop.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WorkerRequest {
    pub worker: i64,
    pub requested: StopMode,
}

/// A pause, as far as a monitor needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HostPause {
    pub id: i64,
    /// The domain. `None` if every domain is paused.
    pub domain: Option<String>,
    /// The id of the operation. `None` if every operation is paused.
    pub operation: Option<i64>,
}

/// A domain with ready tasks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DomainQueue {
    pub domain: String,
    /// The number of ready tasks that this host can run, as far as they were counted.
    pub tasks: i64,
}

/// The largest number of delayed tasks that one poll makes ready. It is a constant of `rework.monitor_poll`.
pub const MAX_PROMOTED: i64 = 1000;

/// Sends a poll and returns the reply.
pub async fn poll(db: &Db, request: &PollRequest) -> Result<PollReply> {
    let measured: Vec<i64> = request.usage.iter().map(|usage| usage.worker).collect();
    let memory: Vec<i64> = request.usage.iter().map(|usage| usage.memory_bytes).collect();
    let percents: Vec<i32> = request.usage.iter().map(|usage| usage.cpu_percent).collect();
    let domains: Vec<&str> =
        request.count_ready.iter().map(|(domain, _)| domain.as_str()).collect();
    let limits: Vec<i64> = request.count_ready.iter().map(|(_, limit)| *limit).collect();
    let params: [Param<'_>; 20] = [
        (&request.monitor, Type::INT8),
        (&request.lease.id, Type::INT8),
        (&request.lease.epoch, Type::INT8),
        (&request.known_renewals, Type::INT8),
        (&request.renew_lease, Type::BOOL),
        (&request.checked_recovery, Type::INT8),
        (&request.idle_domains, Type::TEXT_ARRAY),
        (&request.workers, Type::INT8_ARRAY),
        (&measured, Type::INT8_ARRAY),
        (&memory, Type::INT8_ARRAY),
        (&percents, Type::INT4_ARRAY),
        (&request.dead_workers, Type::INT8_ARRAY),
        (&request.host, Type::TEXT),
        (&request.capabilities, Type::TEXT_ARRAY),
        (&domains, Type::TEXT_ARRAY),
        (&limits, Type::INT8_ARRAY),
        (&request.known_domains, Type::TEXT_ARRAY),
        (&request.abort_all, Type::BOOL),
        (&request.schedule_domains, Type::TEXT_ARRAY),
        (&request.watch_leases, Type::BOOL),
    ];
    let sql = include_str!("sql/monitor_poll.sql");
    let rows = db.query_within(request.terms.statement_timeout(), sql, &params).await?;
    read_reply(Columns::new(rows.first().ok_or(Error::NoRow)?))
}

fn read_reply(row: Columns<'_>) -> Result<PollReply> {
    let leases: Vec<ObservedLease> = json_list(row, "leases")?;
    Ok(PollReply {
        renewals: row.get("renewals")?,
        recovery: row.get("recovery")?,
        unchecked: row.get("unchecked")?,
        missing_workers: row.get("missing_workers")?,
        promoted: row.get("promoted")?,
        aborts: json_list(row, "aborts")?,
        worker_requests: json_list(row, "worker_requests")?,
        waiting: json_list(row, "waiting")?,
        late_claims: row.get("late_claims")?,
        new_domains: row.get("new_domains")?,
        schedule_is_due: row.get("schedule_is_due")?,
        leases: leases.into_iter().map(ObservedLease::snapshot).collect(),
        sweep_is_due: row.get("sweep_is_due")?,
        pauses: json_list(row, "pauses")?,
    })
}

/// An element of the column `leases`.
#[derive(Deserialize)]
struct ObservedLease {
    id: i64,
    epoch: i64,
    renewals: i64,
    length_ms: u64,
}

impl ObservedLease {
    fn snapshot(self) -> (LeaseSnapshot, LeaseTerms) {
        let lease = Lease { id: self.id, epoch: self.epoch };
        let terms = LeaseTerms { length: Duration::from_millis(self.length_ms) };
        (LeaseSnapshot { lease, renewals: self.renewals }, terms)
    }
}

fn json_list<T: DeserializeOwned>(row: Columns<'_>, column: &'static str) -> Result<Vec<T>> {
    Ok(row.get::<Json<Vec<T>>>(column)?.0)
}
