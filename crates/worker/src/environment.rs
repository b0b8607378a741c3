//! The environment of operation code: the worker's own, less whatever is ours or opens the
//! database.

use std::ffi::{OsStr, OsString};

/// One variable.
pub(crate) type Variable = (OsString, OsString);

/// What must not be seen by operation code.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// The DSN and its password.
    pub(crate) fn new(dsn: &str, password: Option<String>) -> Secrets {
        // A URL may spell the password with percent signs.
        let spelled = dsn
            .split_once("://")
            .and_then(|(_, rest)| rest.rsplit_once('@'))
            .and_then(|(user, _)| user.split_once(':'))
            .map(|(_, password)| password.to_owned());
        let all = [Some(dsn.to_owned()), password, spelled];
        Secrets(all.into_iter().flatten().filter(|secret| !secret.is_empty()).collect())
    }

    fn are_in(&self, value: &OsStr) -> bool {
        let value = value.to_string_lossy();
        self.0.iter().any(|secret| value.contains(secret))
    }
}

/// Removes `REWORK_*`, `PG*` and `DATABASE_URL`, but for what the operation lets through by name,
/// and any variable that holds a secret, let through or not.
pub(crate) fn cleaned(
    all: impl IntoIterator<Item = Variable>,
    secrets: &Secrets,
    lets_through: impl Fn(&str) -> bool,
) -> Vec<Variable> {
    all.into_iter()
        .filter(|(name, value)| {
            let name = name.to_string_lossy();
            let ours = name.starts_with("REWORK_") || name.starts_with("PG");
            let kept_back = ours || name == "DATABASE_URL";
            (!kept_back || lets_through(&name)) && !secrets.are_in(value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<Variable> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn nothing_that_opens_the_database_is_left() {
        let all = variables(&[
            ("PATH", "/bin"),
            ("REWORK_DSN", "x"),
            ("PGPASSWORD", "s3cret"),
            ("PGHOST", "elsewhere"),
            ("DATABASE_URL", "z"),
            ("MY_DB", "postgres://me:s3cret@db/jobs"),
            ("OTHER_DB", "postgres://me:s%33cret@db/other"),
            ("AWS_REGION", "eu"),
        ]);
        let secrets = Secrets::new("postgres://me:s%33cret@db/jobs", Some("s3cret".to_owned()));
        let left = cleaned(all.clone(), &secrets, |_| false);
        assert_eq!(left, variables(&[("PATH", "/bin"), ("AWS_REGION", "eu")]));
        let asked = cleaned(all, &secrets, |name| name.starts_with("PG"));
        assert_eq!(
            asked,
            variables(&[("PATH", "/bin"), ("PGHOST", "elsewhere"), ("AWS_REGION", "eu")])
        );
    }
}
