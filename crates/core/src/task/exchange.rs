//! The exchange: one round trip of a busy worker to the database. It appends the log lines of runs, records the ends of
//! runs and claims the next tasks, all in one transaction. So the worker pays for one commit instead of three.
//!
//! The parts are in `progress.rs` (log lines), `complete.rs` (ends) and `claim.rs` (claims).

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        deadline::DEADLINE,
        error::Result,
    },
    task::{
        self,
        claim::{
            self, BatchLimits, CLAIM_PARAMS, Claimant, ClaimedTask, ScanRanges, in_queue_order,
        },
        complete::{self, Completion, CompletionParams, EndedRuns, Recorded, recorded_ends},
        fence::Fence,
        progress::{LogLineParams, NewLogLine},
    },
};

/// The contents of one exchange: what it writes and what it claims.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// Log lines that runs wrote.
    pub lines: &'a [(Fence, NewLogLine)],
    /// Ends of runs.
    pub ends: &'a [Completion],
    /// A lower bound for the start times of the runs in `ends`, or `None`: see
    /// [`complete::complete`].
    pub earliest_start: Option<DateTime<Utc>>,
    /// The parameters of the next claim. `None` if nothing is to be claimed.
    pub claim: Option<(&'a Claimant, &'a BatchLimits, &'a ScanRanges)>,
}

/// The result of an exchange: what was recorded for each end, in their order, and the tasks that were claimed.
pub type Exchanged = (Vec<Recorded>, Vec<ClaimedTask>);

/// The server's reply: the runs that it ended, and the tasks that it claimed.
type ServerReply = Result<(EndedRuns, Vec<ClaimedTask>)>;

/// Carries out an exchange.
///
/// After an `Err` nothing was changed, with two exceptions. If the connection was lost, the transaction may have been
/// committed. If a row of the reply cannot be read, it was committed.
pub async fn exchange(db: &Db, exchange: Exchange<'_>) -> Result<Exchanged> {
    let lines = LogLineParams::of(exchange.lines);
    let ends = CompletionParams::of(exchange.ends, exchange.earliest_start);
    let token = Uuid::new_v4();
    let claim_params =
        exchange.claim.map(|(claimant, limits, ranges)| claimant.params(limits, ranges, &token));
    let reply = async {
        match (exchange.lines, &claim_params) {
            ([], Some(claim_params)) => one_statement(db, &ends, claim_params).await,
            _ => pipelined(db, &lines, &ends, claim_params.as_ref()).await,
        }
    };
    let (ended, claimed) = db.within(DEADLINE, reply).await?;
    Ok((recorded_ends(db, exchange.ends, &ended).await?, claimed))
}

/// Sends the ends and the claim as one statement, so that the server plans, commits and answers once.
async fn one_statement(
    db: &Db,
    ends: &CompletionParams<'_>,
    claim_params: &[Param<'_>; CLAIM_PARAMS],
) -> ServerReply {
    let params = [ends.params().as_slice(), claim_params].concat();
    let rows = db.query_prepared(include_str!("sql/exchange.sql"), &params).await?;
    let is_claim = |row: &&Row| matches!(row.try_get::<_, Option<&str>>(STATE), Ok(None));
    Ok((EndedRuns::read(&rows, STATE)?, in_queue_order(rows.iter().filter(is_claim))?))
}

/// The index of the column `state` in `exchange.sql`. It is null in the rows of a claim.
const STATE: usize = 14;

/// Sends the statements of a transaction one after the other without waiting for replies. The server answers them in
/// the order in which they were sent.
async fn pipelined(
    db: &Db,
    lines: &LogLineParams<'_>,
    ends: &CompletionParams<'_>,
    claim_params: Option<&[Param<'_>; CLAIM_PARAMS]>,
) -> ServerReply {
    let client = db.client();
    let (line_params, end_params) = (lines.params(), ends.params());
    // Preparing waits for a reply, so it happens before the first statement of the transaction is sent.
    db.prepare_once(complete::STATEMENT, &end_params).await?;
    if let Some(params) = claim_params {
        db.prepare_once(claim::STATEMENT, params).await?;
    }
    let (begin, appended, ended, claimed, commit) = tokio::join!(
        client.batch_execute("begin"),
        async {
            if lines.is_empty() {
                return Ok(Vec::new());
            }
            client.query_typed(task::progress::APPEND_LOG, &line_params).await
        },
        async {
            if ends.is_empty() {
                return Ok(Vec::new());
            }
            db.send_prepared(complete::STATEMENT, &end_params).await
        },
        async {
            let Some(params) = claim_params else { return Ok(Vec::new()) };
            db.send_prepared(claim::STATEMENT, params).await
        },
        client.batch_execute("commit"),
    );
    begin?;
    appended?;
    let (ended, claimed) = (ended?, claimed?);
    commit?;
    Ok((EndedRuns::read(&ended, complete::STATE)?, in_queue_order(claimed.iter())?))
}
