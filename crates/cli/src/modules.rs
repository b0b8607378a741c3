//! Reads the files that `register-operations` registers: finds out the kind of each file and the operations that it
//! defines. A manifest is parsed; a Python module or a program is run to list its operations. This needs no database.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rework_core::{
    module::manifest,
    operation::{
        module_kind::{self, ModuleKind},
        register::{Module, refuse_duplicates},
    },
    values::name,
};
use rework_wire::operation::Definition;
use rework_worker::{code::Code, inspect};

use crate::{error_text::hinted, python};

/// Returns the modules at `paths` with their operations. If `domain` is given, only operations of that domain.
///
/// `python` is the interpreter for Python modules, if the user named one. `Err` if two modules define the same
/// operation.
pub(crate) async fn read(
    paths: &[PathBuf],
    domain: Option<&str>,
    python: Option<&Path>,
) -> anyhow::Result<Vec<Module>> {
    let mut modules = Vec::new();
    for path in paths {
        let path = module_kind::absolute_path(path)
            .with_context(|| format!("`{}` has no absolute path", path.display()))?;
        let kind =
            ModuleKind::of_file(&path).map_err(|error| hinted(error.to_string(), error.hint()))?;
        let interpreter = match kind {
            ModuleKind::Python => Some(python::interpreter(python)?),
            ModuleKind::Rust | ModuleKind::Command => None,
        };
        let code = Code { path, interpreter };
        let mut operations = definitions(kind, &code).await?;
        operations.retain(|operation| domain.is_none_or(|domain| domain == operation.domain));
        operations.iter().try_for_each(|operation| check_names(operation, &code.path))?;
        let path = text(code.path)?;
        let interpreter = code.interpreter.map(text).transpose()?;
        modules.push(Module { kind, path, interpreter, operations });
    }
    refuse_duplicates(&modules).map_err(|error| with_check_hint(&error, error.hint(), paths))?;
    Ok(modules)
}

/// Checks the names of an operation and of its domain. `Err` if one of them cannot be a name.
fn check_names(operation: &Definition, path: &Path) -> anyhow::Result<()> {
    for (kind, name) in [("domain", &operation.domain), ("operation", &operation.name)] {
        if let Err(fault) = name::check(name) {
            let path = path.display();
            let message = format!("the name `{name}` of the {kind} {fault}: in `{path}`");
            return Err(hinted(message, "write the name again, without copying it"));
        }
    }
    Ok(())
}

fn text(path: PathBuf) -> anyhow::Result<String> {
    path.into_os_string().into_string().map_err(|path| {
        hinted(
            format!("the path `{}` is not UTF-8", path.display()),
            "rename the file: rework stores paths as UTF-8 text",
        )
    })
}

async fn definitions(kind: ModuleKind, code: &Code) -> anyhow::Result<Vec<Definition>> {
    let path = &code.path;
    match kind {
        ModuleKind::Command => {
            let operations = manifest::load(path)
                .map_err(|error| with_check_hint(&error, error.hint(), &[path]))?;
            Ok(operations.into_iter().map(|operation| operation.definition).collect())
        }
        ModuleKind::Rust | ModuleKind::Python => inspect::inspect(code, inspect::TIMEOUT)
            .await
            .map_err(|error| with_check_hint(&error, error.hint(), &[path])),
    }
}

/// Returns the error with its hint. An error without a hint gets one that shows how to check the files again.
fn with_check_hint<P: AsRef<Path>>(
    error: &dyn std::error::Error,
    hint: Option<String>,
    paths: &[P],
) -> anyhow::Error {
    let check_again = || {
        let paths = paths.iter().map(|path| format!(" {}", path.as_ref().display()));
        format!(
            "correct the file, then check it: `rework register-operations --check{}`",
            paths.collect::<String>()
        )
    };
    hinted(error.to_string(), hint.unwrap_or_else(check_again))
}
