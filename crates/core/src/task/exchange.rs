//! Exchange: what runs wrote, their ends, and the claim of the next ones, in one transaction and one
//! round trip. A busy worker pays one commit for all of it.

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
        claim::{self, Batches, Claimant, Claimed, ScanRanges, in_order},
        complete::{self, Answers, Completion, Recorded, Values, became},
        fence::Fence,
        progress::{Line, Lines},
    },
};

/// What there is to tell and to ask.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// What runs wrote.
    pub lines: &'a [(Fence, Line)],
    /// How runs ended.
    pub ends: &'a [Completion],
    /// None of them began before this.
    pub after: Option<DateTime<Utc>>,
    /// Who claims how much next, and where, if anybody does.
    pub claim: Option<(&'a Claimant, &'a Batches, &'a ScanRanges)>,
}

/// What came of it: of each end, and the tasks that were claimed.
pub type Exchanged = (Vec<Recorded>, Vec<Claimed>);

/// What the server says: of ends, and of claims.
type Said = Result<(Answers, Vec<Claimed>)>;

/// Sends all of it. After an error nothing of it was done, unless the connection was lost, when all of
/// it may have been, or a row of the answer cannot be read, when all of it was.
pub async fn exchange(db: &Db, exchange: Exchange<'_>) -> Result<Exchanged> {
    let lines = Lines::of(exchange.lines);
    let values = Values::of(exchange.ends, exchange.after);
    let token = Uuid::new_v4();
    let claiming = exchange.claim.map(|(who, batches, ranges)| who.params(batches, ranges, &token));
    let said = async {
        match (exchange.lines, &claiming) {
            ([], Some(claiming)) => together(db, &values, claiming).await,
            _ => one_by_one(db, &lines, &values, claiming.as_ref()).await,
        }
    };
    let (answers, claimed) = db.within(DEADLINE, said).await?;
    Ok((became(db, exchange.ends, &answers).await?, claimed))
}

/// Ends and a claim are one statement, which the server plans, commits and answers once.
async fn together(db: &Db, values: &Values<'_>, claiming: &[Param<'_>; 14]) -> Said {
    let params = [values.params().as_slice(), claiming].concat();
    let rows = db.repeat(include_str!("sql/exchange.sql"), &params).await?;
    let is_claim = |row: &&Row| matches!(row.try_get::<_, Option<&str>>(STATE), Ok(None));
    Ok((Answers::read(&rows, STATE)?, in_order(rows.iter().filter(is_claim))?))
}

/// Where a row of `exchange.sql` has the state of a task that was ended.
const STATE: usize = 14;

/// Sent one behind the other without waiting: the server answers them in this order.
async fn one_by_one(
    db: &Db,
    lines: &Lines<'_>,
    values: &Values<'_>,
    claiming: Option<&[Param<'_>; 14]>,
) -> Said {
    let client = db.client();
    let (writing, completing) = (lines.params(), values.params());
    db.make_ready(complete::STATEMENT, &completing).await?;
    if let Some(params) = claiming {
        db.make_ready(claim::STATEMENT, params).await?;
    }
    let (began, written, ended, next, committed) = tokio::join!(
        client.batch_execute("begin"),
        async {
            if lines.is_empty() {
                return Ok(Vec::new());
            }
            client.query_typed(task::progress::APPEND_LOG, &writing).await
        },
        async {
            if values.is_empty() {
                return Ok(Vec::new());
            }
            db.send(complete::STATEMENT, &completing).await
        },
        async {
            let Some(params) = claiming else { return Ok(Vec::new()) };
            db.send(claim::STATEMENT, params).await
        },
        client.batch_execute("commit"),
    );
    began?;
    written?;
    let (ended, next) = (ended?, next?);
    committed?;
    Ok((Answers::read(&ended, complete::STATE)?, in_order(next.iter())?))
}
