//! The environment of operation code: the worker's own, without the variables of rework and those that give access to
//! the database.

use std::ffi::{OsStr, OsString};

/// The name and value of an environment variable.
pub(crate) type Variable = (OsString, OsString);

/// Values that operation code must not see.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Collects the DSN and the passwords with which it is used.
    pub(crate) fn new(dsn: &str, passwords: impl IntoIterator<Item = String>) -> Secrets {
        // In a URL the password may be percent-encoded, so that form is a secret, too.
        let encoded = dsn
            .split_once("://")
            .and_then(|(_, rest)| rest.rsplit_once('@'))
            .and_then(|(user, _)| user.split_once(':'))
            .map(|(_, password)| password.to_owned());
        let all = passwords.into_iter().chain(encoded).chain([dsn.to_owned()]);
        Secrets(all.filter(|secret| !secret.is_empty()).collect())
    }

    fn are_in(&self, value: &OsStr) -> bool {
        let value = value.to_string_lossy();
        self.0.iter().any(|secret| value.contains(secret))
    }
}

/// Removes `REWORK_*`, `PG*` and `DATABASE_URL`, except for variables that the operation passes through by name. Also
/// removes every variable that contains a secret, passed through or not.
pub(crate) fn cleaned(
    all: impl IntoIterator<Item = Variable>,
    secrets: &Secrets,
    passes_through: impl Fn(&str) -> bool,
) -> Vec<Variable> {
    all.into_iter()
        .filter(|(name, value)| {
            let name = name.to_string_lossy();
            let ours = name.starts_with("REWORK_") || name.starts_with("PG");
            let is_removed = ours || name == "DATABASE_URL";
            (!is_removed || passes_through(&name)) && !secrets.are_in(value)
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
    fn no_variable_that_gives_access_to_the_database_is_left() {
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
        let cleaned_env = cleaned(all.clone(), &secrets, |_| false);
        assert_eq!(cleaned_env, variables(&[("PATH", "/bin"), ("AWS_REGION", "eu")]));
        let passed_through = cleaned(all, &secrets, |name| name.starts_with("PG"));
        assert_eq!(
            passed_through,
            variables(&[("PATH", "/bin"), ("PGHOST", "elsewhere"), ("AWS_REGION", "eu")])
        );
    }
}
