//! A worker's cache of operations: their limits, their compiled schemas, and where their code is on this host.

use std::{collections::HashMap, path::PathBuf, rc::Rc};

use rework_core::{
    db::error::Error,
    operation::module_kind::ModuleKind,
    task::{
        claim::{OperationVersion, PlacedOperation},
        complete::Outcome,
        payload::Payload,
    },
    values::validate::Schema,
};
use rework_wire::operation::Definition;

use crate::{code::Code, recorder::Recorder, run_result::RunResult};

/// The most operations in the cache. When it is full, all are forgotten and read again.
const MAX_CACHED: usize = 256;

/// An operation that this worker can run.
pub(crate) struct Operation {
    /// The name, schemas and limits.
    pub definition: Definition,
    /// The kind of module that contains the operation.
    pub kind: ModuleKind,
    /// The executable, Python module or manifest.
    pub code: Code,
    input: Option<Schema>,
}

/// The operations that a worker has used.
#[derive(Default)]
pub(crate) struct Operations {
    cached: HashMap<OperationVersion, Rc<Operation>>,
}

impl Operations {
    /// Returns whether this version of an operation can be used without asking the database.
    pub(crate) fn is_cached(&self, version: OperationVersion) -> bool {
        self.cached.contains_key(&version)
    }

    /// Returns an operation in the given version, from the cache or from the database. `Err` is the result of a run
    /// whose operation cannot be loaded.
    pub(crate) async fn get(
        &mut self,
        version: OperationVersion,
        recorder: &Recorder,
    ) -> Result<Rc<Operation>, RunResult> {
        if let Some(cached) = self.cached.get(&version) {
            return Ok(Rc::clone(cached));
        }
        let cannot_load = |reason: &dyn std::fmt::Display| {
            RunResult::refused(format!("the operation cannot be loaded: {reason}"))
        };
        let placed = match recorder.placement(version).await {
            Ok(Ok(placed)) => placed,
            // The operation was unregistered on this host after the claim. The task is requeued, because another host
            // may still run it.
            Ok(Err(Error::NoRow)) => {
                let reason = Some("this host does not run the operation any more".to_owned());
                return Err(RunResult { outcome: Outcome::NotStarted, reason });
            }
            Ok(Err(error)) => return Err(cannot_load(&error)),
            Err(closed) => return Err(cannot_load(&closed)),
        };
        let operation = Rc::new(Operation::new(placed).map_err(|reason| cannot_load(&reason))?);
        if self.cached.len() >= MAX_CACHED {
            self.cached.clear();
        }
        self.cached.insert(version, Rc::clone(&operation));
        Ok(operation)
    }
}

impl Operation {
    /// Returns how many runs one runner may have open at once.
    pub(crate) fn concurrency(&self) -> usize {
        match self.kind {
            ModuleKind::Command => 1,
            ModuleKind::Rust | ModuleKind::Python => {
                self.definition.limits.concurrency.unsigned_abs().max(1) as usize
            }
        }
    }

    fn new(placed: PlacedOperation) -> Result<Operation, String> {
        let kind = ModuleKind::parse(&placed.kind)
            .ok_or_else(|| format!("this `rework` does not know the kind `{}`", placed.kind))?;
        let input = placed.definition.input.as_ref().map(Schema::compile).transpose();
        Ok(Operation {
            input: input.map_err(|error| format!("its input schema: {error}"))?,
            definition: placed.definition,
            kind,
            code: Code {
                path: placed.path.into(),
                interpreter: placed.interpreter.map(PathBuf::from),
            },
        })
    }

    /// Validates an input against the operation's schema and returns it. Bytes are not validated. A task without an
    /// input is given `{}` if the schema accepts that and not `null`. `Err` is the result of the run.
    pub(crate) fn validate_input(&self, input: Payload) -> Result<Payload, RunResult> {
        let Some(schema) = &self.input else { return Ok(input) };
        let violation = match &input {
            Payload::Bytes(_) => return Ok(input),
            Payload::Json(text) => schema.check(text.as_bytes()),
            Payload::None if schema.check(b"null").is_ok() => return Ok(input),
            Payload::None => match schema.check(b"{}") {
                Ok(()) => return Ok(Payload::Json("{}".to_owned())),
                violation => violation,
            },
        };
        violation
            .map(|()| input)
            .map_err(|violation| RunResult::refused(format!("invalid input: {violation}")))
    }
}
