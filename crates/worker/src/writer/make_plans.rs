//! Makes the plans of flows. The run of a flow returns a description. It is compiled here (`crates/flow`), because the
//! compiler has to know the operations that the description names, and recorded as the end of the run: `planned`, with
//! the plan as its output. From then on `migrations/V30__flow_ends.sql` carries the plan out.

use rework_core::{
    flow::find_operations::find_operations,
    task::{
        complete::{Completion, Outcome},
        payload::Payload,
    },
};
use rework_flow::{
    compile,
    description::Description,
    operations::{InputKeys, names},
};
use serde_json::json;

use super::DbWriter;

/// The kind of the error of a run whose description cannot become a plan.
const KIND: &str = "plan";

/// The reason why a description has not become a plan.
enum PlanFailure {
    /// The description is wrong, and would be wrong again.
    Wrong(String),
    /// The database refused to say which operations there are. That is not the fault of the flow.
    Unknown(String),
}

impl DbWriter {
    /// Replaces the output of a run that is done, a description, by its plan. If the description is wrong, the run fails,
    /// and is not tried again. If the database does not let the worker make a plan, the run counts as lost.
    pub(super) async fn planned(
        &mut self,
        end: Completion,
        domain: &str,
        keys: &InputKeys,
    ) -> Completion {
        match self.plan(&end.output, domain, keys).await {
            Ok(plan) => {
                Completion { outcome: Outcome::Planned, output: Payload::Json(plan), ..end }
            }
            Err(PlanFailure::Unknown(why)) => Completion {
                outcome: Outcome::Lost,
                reason: Some(format!("its plan could not be made: {why}")),
                output: Payload::None,
                ..end
            },
            Err(PlanFailure::Wrong(why)) => Completion {
                outcome: Outcome::Refused,
                reason: Some(format!("the flow cannot be made: {why}")),
                error: Some(json!({"kind": KIND, "message": why, "traceback": null})),
                output: Payload::None,
                ..end
            },
        }
    }

    /// Compiles a description, and returns the plan as JSON.
    async fn plan(
        &mut self,
        output: &Payload,
        domain: &str,
        keys: &InputKeys,
    ) -> Result<String, PlanFailure> {
        let description = match output {
            Payload::Json(text) => Description::read(text).map_err(wrong)?,
            Payload::Bytes(_) => return Err(wrong("its code returned bytes, not a flow")),
            Payload::None => return Err(wrong("its code returned nothing, not a flow")),
        };
        let names = names(&description);
        let find = async |db: &_| find_operations(db, &names).await;
        let found = self.database.until_answered("the operations of a flow", find).await;
        let operations = found.map_err(|refusal| PlanFailure::Unknown(refusal.to_string()))?;
        let plan = compile(&description, domain, Some(keys), &operations).map_err(wrong)?;
        serde_json::to_string(&plan).map_err(wrong)
    }
}

fn wrong(why: impl std::fmt::Display) -> PlanFailure {
    PlanFailure::Wrong(why.to_string())
}
