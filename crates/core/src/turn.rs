//! Turn: the end of one run and the claim of the next, in one transaction and one round trip. A
//! busy worker pays one commit for a task instead of two.

use crate::{
    claim::{self, Claimant, Claimed, claimed},
    complete::{self, Completion, Recorded, Values, recorded},
    connect::{DEADLINE, Db},
    error::Result,
    state::State,
};

/// Records the end of a run and claims the next task. After an error neither was done, unless the
/// connection was lost, when both may have been.
pub async fn turn(
    db: &Db,
    end: &Completion,
    who: &Claimant,
) -> Result<(Recorded, Option<Claimed>)> {
    let values = Values::of(end);
    let (completing, claiming) = (values.params(), who.params(&1));
    let client = db.client();
    // Sent one behind the other without waiting: the server answers them in this order.
    let sent = async {
        let (began, ended, next, committed) = tokio::join!(
            client.batch_execute("begin"),
            client.query_typed(complete::STATEMENT, &completing),
            client.query_typed(claim::STATEMENT, &claiming),
            client.batch_execute("commit"),
        );
        began?;
        let answers = (ended?, next?);
        committed?;
        Ok(answers)
    };
    let (ended, next) = db.within(DEADLINE, sent).await?;
    let recorded = match ended.first() {
        Some(row) => Recorded::Now(State::stored(row.get(0))),
        None => recorded(db, end.fence).await?,
    };
    Ok((recorded, next.first().map(claimed)))
}
