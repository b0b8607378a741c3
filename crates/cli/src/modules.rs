//! The files that are registered: what each is, and which operations it defines. Nothing here needs
//! a database.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rework_core::{
    module::manifest,
    operation::{
        kind::{self, Kind},
        register::{Module, refuse_twice},
    },
};
use rework_wire::operation::Definition;
use rework_worker::{code::Code, inspect};

use crate::{python, report::hinted};

/// Reads manifests and asks programs; of their operations, those of `domain`, where it is given.
/// Two that define the same operation are refused.
pub(crate) async fn read(
    paths: &[PathBuf],
    domain: Option<&str>,
    python: Option<&Path>,
) -> anyhow::Result<Vec<Module>> {
    let mut modules = Vec::new();
    for path in paths {
        let path = kind::absolute(path)
            .with_context(|| format!("`{}` has no absolute path", path.display()))?;
        let kind = Kind::of_file(&path).map_err(|error| hinted(error.to_string(), error.hint()))?;
        let interpreter = match kind {
            Kind::Python => Some(python::interpreter(python)?),
            Kind::Rust | Kind::Command => None,
        };
        let code = Code { path, interpreter };
        let mut operations = definitions(kind, &code).await?;
        operations.retain(|operation| domain.is_none_or(|domain| domain == operation.domain));
        let path = text(code.path)?;
        let interpreter = code.interpreter.map(text).transpose()?;
        modules.push(Module { kind, path, interpreter, operations });
    }
    refuse_twice(&modules).map_err(|error| explained(&error, error.hint(), paths))?;
    Ok(modules)
}

fn text(path: PathBuf) -> anyhow::Result<String> {
    path.into_os_string().into_string().map_err(|path| {
        hinted(
            format!("the path `{}` is not UTF-8", path.display()),
            "rename it: paths are kept as text",
        )
    })
}

async fn definitions(kind: Kind, code: &Code) -> anyhow::Result<Vec<Definition>> {
    let path = &code.path;
    match kind {
        Kind::Command => {
            let operations =
                manifest::load(path).map_err(|error| explained(&error, error.hint(), &[path]))?;
            Ok(operations.into_iter().map(|operation| operation.definition).collect())
        }
        Kind::Rust | Kind::Python => inspect::inspect(code, inspect::TIMEOUT)
            .await
            .map_err(|error| explained(&error, error.hint(), &[path])),
    }
}

/// An error of ours, whose sentence holds all that there is to say, with its hint; where it has
/// none, how to try again without harm.
fn explained<P: AsRef<Path>>(
    error: &dyn std::error::Error,
    hint: Option<String>,
    paths: &[P],
) -> anyhow::Error {
    let again = || {
        let paths = paths.iter().map(|path| format!(" {}", path.as_ref().display()));
        format!(
            "mend it, and try: `rework register-operations --check{}`",
            paths.collect::<String>()
        )
    };
    hinted(error.to_string(), hint.unwrap_or_else(again))
}
