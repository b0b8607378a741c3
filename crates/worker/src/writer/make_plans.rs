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
    operations::{input_keys, names},
};
use serde_json::json;

use super::DbWriter;

/// The kind of the error of a run whose description cannot become a plan.
const KIND: &str = "plan";

impl DbWriter {
    /// Replaces the output of a run that is done, a description, by its plan. If there is none, the run fails, and is
    /// not tried again.
    pub(super) async fn planned(
        &mut self,
        end: Completion,
        domain: &str,
        input: &Payload,
    ) -> Completion {
        match self.plan(&end.output, domain, input).await {
            Ok(plan) => {
                Completion { outcome: Outcome::Planned, output: Payload::Json(plan), ..end }
            }
            Err(why) => Completion {
                outcome: Outcome::Refused,
                reason: Some(format!("the flow cannot be made: {why}")),
                error: Some(json!({"kind": KIND, "message": why, "traceback": null})),
                output: Payload::None,
                ..end
            },
        }
    }

    /// Compiles a description. `Err` with the reason if it is wrong, or if the database refuses to say which operations
    /// there are.
    async fn plan(
        &mut self,
        output: &Payload,
        domain: &str,
        input: &Payload,
    ) -> Result<String, String> {
        let description = match output {
            Payload::Json(text) => Description::read(text).map_err(|fault| fault.to_string())?,
            Payload::Bytes(_) => return Err("its code returned bytes, not a flow".to_owned()),
            Payload::None => return Err("its code returned nothing, not a flow".to_owned()),
        };
        let names = names(&description);
        let find = async |db: &_| find_operations(db, &names).await;
        let found = self.database.until_answered("the operations of a flow", find).await;
        let operations = found.map_err(|refusal| refusal.to_string())?;
        let keys = match input {
            Payload::Json(text) => input_keys(text),
            Payload::Bytes(_) | Payload::None => Vec::new(),
        };
        let plan = compile(&description, domain, Some(&keys), &operations)
            .map_err(|fault| fault.to_string())?;
        serde_json::to_string(&plan).map_err(|error| error.to_string())
    }
}
