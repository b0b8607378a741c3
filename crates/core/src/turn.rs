//! Turn: what runs wrote, their ends, and the claim of the next ones, in one transaction and one
//! round trip. A busy worker pays one commit for all of it.

use chrono::{DateTime, Utc};

use crate::{
    claim::{self, Batches, Claimant, Claimed, Regions, claimed},
    complete::{self, Completion, Recorded, Values, became},
    connect::{DEADLINE, Db},
    error::Result,
    report::{self, Line, Lines},
};

/// What there is to tell and to ask.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// What runs wrote.
    pub lines: &'a [(claim::Fence, Line)],
    /// How runs ended.
    pub ends: &'a [Completion],
    /// None of them began before this.
    pub after: Option<DateTime<Utc>>,
    /// Who claims how much next, and where, if anybody does.
    pub claim: Option<(&'a Claimant, &'a Batches, &'a Regions)>,
}

/// What came of it: of each end, and the tasks that were claimed.
pub type Turned = (Vec<Recorded>, Vec<Claimed>);

/// Takes a turn. After an error nothing of it was done, unless the connection was lost, when all of
/// it may have been.
pub async fn turn(db: &Db, turn: Turn<'_>) -> Result<Turned> {
    let client = db.client();
    let lines = Lines::of(turn.lines);
    let values = Values::of(turn.ends, turn.after);
    let (writing, completing) = (lines.params(), values.params());
    let claiming = turn.claim.map(|(who, batches, regions)| who.params(batches, regions));
    // Sent one behind the other without waiting: the server answers them in this order.
    let sent = async {
        let (began, written, ended, next, committed) = tokio::join!(
            client.batch_execute("begin"),
            async {
                match turn.lines {
                    [] => Ok(Vec::new()),
                    _ => client.query_typed(report::APPEND_LOG, &writing).await,
                }
            },
            async {
                match turn.ends {
                    [] => Ok(Vec::new()),
                    _ => client.query_typed(complete::STATEMENT, &completing).await,
                }
            },
            async {
                match &claiming {
                    None => Ok(Vec::new()),
                    Some(params) => client.query_typed(claim::STATEMENT, params).await,
                }
            },
            client.batch_execute("commit"),
        );
        began?;
        written?;
        let answers = (ended?, next?);
        committed?;
        Ok(answers)
    };
    let (ended, next) = db.within(DEADLINE, sent).await?;
    let recorded = became(db, turn.ends, &ended).await?;
    Ok((recorded, next.iter().map(claimed).collect()))
}
