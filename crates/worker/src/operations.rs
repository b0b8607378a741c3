//! What a worker remembers of operations: their limits, their schemas ready for use, their code.

use std::{collections::HashMap, path::PathBuf, rc::Rc};

use rework_core::{
    db::error::Error,
    operation::kind::Kind,
    task::{
        claim::{OperationVersion, Placed},
        complete::Outcome,
        payload::Payload,
    },
    values::validate::Schema,
};
use rework_wire::operation::Definition;

use crate::{code::Code, recorder::Recorder, verdict::Verdict};

/// Operations that a worker remembers; past it, it forgets all and asks again.
const MAX_REMEMBERED: usize = 256;

/// An operation, ready to be run here.
pub(crate) struct Operation {
    /// Name, schemas and limits.
    pub definition: Definition,
    /// How this host runs it.
    pub kind: Kind,
    /// Its executable, module or manifest.
    pub code: Code,
    input: Option<Schema>,
}

/// The operations of a worker.
#[derive(Default)]
pub(crate) struct Operations {
    known: HashMap<OperationVersion, Rc<Operation>>,
}

impl Operations {
    /// Whether the database need not be asked.
    pub(crate) fn has(&self, version: OperationVersion) -> bool {
        self.known.contains_key(&version)
    }

    /// The details of an operation in this very version; the database is asked once.
    pub(crate) async fn get(
        &mut self,
        version: OperationVersion,
        recorder: &Recorder,
    ) -> Result<Rc<Operation>, Verdict> {
        if let Some(known) = self.known.get(&version) {
            return Ok(Rc::clone(known));
        }
        let gone = |why: &dyn std::fmt::Display| {
            Verdict::refused(format!("the operation cannot be loaded: {why}"))
        };
        let placed = match recorder.placed(version).await {
            Ok(Ok(placed)) => placed,
            // Unregistered on this host since the claim: another host may still run it.
            Ok(Err(Error::NoRow)) => {
                let reason = Some("this host does not run the operation any more".to_owned());
                return Err(Verdict { outcome: Outcome::Unbegun, reason });
            }
            Ok(Err(error)) => return Err(gone(&error)),
            Err(stopped) => return Err(gone(&stopped)),
        };
        let operation = Rc::new(Operation::new(placed).map_err(|why| gone(&why))?);
        if self.known.len() >= MAX_REMEMBERED {
            self.known.clear();
        }
        self.known.insert(version, Rc::clone(&operation));
        Ok(operation)
    }
}

impl Operation {
    /// How many of its runs may be open at once in one runner.
    pub(crate) fn concurrency(&self) -> usize {
        match self.kind {
            Kind::Command => 1,
            Kind::Rust | Kind::Python => {
                self.definition.limits.concurrency.unsigned_abs().max(1) as usize
            }
        }
    }

    fn new(placed: Placed) -> Result<Operation, String> {
        let kind = Kind::parse(&placed.kind)
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

    /// The input, if it fits; bytes are the operation's own affair. What was scheduled without an
    /// input is given `{}` where only an object fits.
    pub(crate) fn fitting(&self, input: Payload) -> Result<Payload, Verdict> {
        let Some(schema) = &self.input else { return Ok(input) };
        let misfit = match &input {
            Payload::Bytes(_) => return Ok(input),
            Payload::Json(text) => schema.check(text.as_bytes()),
            Payload::None if schema.check(b"null").is_ok() => return Ok(input),
            Payload::None => match schema.check(b"{}") {
                Ok(()) => return Ok(Payload::Json("{}".to_owned())),
                misfit => misfit,
            },
        };
        misfit
            .map(|()| input)
            .map_err(|misfit| Verdict::refused(format!("the input does not fit: {misfit}")))
    }
}
