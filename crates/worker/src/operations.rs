//! A worker's cache of operations: their limits, their compiled schemas, and where their code is on this host.

use std::{collections::HashMap, path::PathBuf, rc::Rc};

use rework_core::{
    db::error::Error,
    operation::module_kind::ModuleKind,
    task::{
        claim::{OperationVersion, PlacedOperation},
        payload::Payload,
    },
    values::validate::Schema,
};
use rework_wire::operation::Definition;

use crate::{code::Code, recorder::Recorder, run_result::RunResult, start_error::StartError};

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

    /// Returns an operation in the given version, from the cache or from the database.
    pub(crate) async fn get(
        &mut self,
        version: OperationVersion,
        recorder: &Recorder,
    ) -> Result<Rc<Operation>, StartError> {
        if let Some(cached) = self.cached.get(&version) {
            return Ok(Rc::clone(cached));
        }
        let placed = match recorder.placement(version).await {
            Ok(Ok(placed)) => placed,
            // The task is queued again, because another host may still run it.
            Ok(Err(Error::NoRow)) => return Err(StartError::Unregistered),
            Ok(Err(error)) => return Err(StartError::Database(error)),
            Err(_) => return Err(StartError::Ending),
        };
        let operation = Rc::new(Operation::new(placed)?);
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

    /// Returns whether the operation is a command of a manifest.
    pub(crate) fn is_command(&self) -> bool {
        self.kind == ModuleKind::Command
    }

    /// Returns whether the operation was registered with a check, which answers whether the host can run it now.
    pub(crate) fn has_check(&self) -> bool {
        self.definition.available.is_some()
    }

    fn new(placed: PlacedOperation) -> Result<Operation, StartError> {
        let kind = ModuleKind::parse(&placed.kind)
            .ok_or_else(|| StartError::UnknownKind(placed.kind.clone()))?;
        let input = placed.definition.input.as_ref().map(Schema::compile).transpose();
        Ok(Operation {
            input: input.map_err(|error| StartError::Schema(error.to_string()))?,
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
