//! Removes the passwords of databases from the arguments and the environment of a command that runs long.
//!
//! Other users can read the arguments of a process, and operations run as the same user. So the command executes its
//! program again (`reexec.rs`), and passes its DSNs in anonymous memory (`dsn_fd.rs`).

use std::ffi::OsString;

use rework_core::db::dsn::{Dsn, hide_passwords};

use crate::{
    argv,
    commands::Command,
    config::Config,
    database::{FOREIGN_VARIABLE, LISTEN_VARIABLE, VARIABLES},
    dsn_fd,
    options::Options,
    output,
    reexec::{HiddenDsn, reexec},
};

/// The variable with a password that completes a DSN.
const PASSWORD_VARIABLE: &str = "PGPASSWORD";

/// Executes this program again if a password is in its arguments or in its environment. Does nothing if there is none.
/// `args` are the arguments as they were typed, after `argv::rewrite`.
pub(crate) fn hide(
    command: &Command,
    options: &Options,
    config: &Config,
    args: Vec<OsString>,
) -> anyhow::Result<()> {
    if options.dsn_fd.is_some() {
        // It was executed again before.
        return Ok(());
    }
    let dsn = options.database_source(config.clone()).named_dsn()?;
    // `rework dev` leaves the DSN for notifications to its monitor.
    let listen_dsn = match command {
        Command::Monitor(monitor) => monitor.named_listen_dsn()?,
        _ => None,
    };
    let is_typed = options.db.as_deref().is_some_and(has_password);
    if is_typed {
        output::print_stderr(
            "warning: other users can see a password in the arguments of a running command; \
             rework restarts itself without it. Set REWORK_DSN instead, or use `--dsn-file PATH`",
        );
    }
    let removed = secret_variables(dsn.as_ref(), listen_dsn.as_ref());
    if !is_typed && removed.is_empty() {
        return Ok(());
    }
    let password = variable(PASSWORD_VARIABLE).filter(|_| removed.contains(&PASSWORD_VARIABLE));
    let hidden = |option, dsn: &Dsn| {
        let text = match &password {
            Some(password) => dsn.text_with_password(password),
            None => dsn.text().to_owned(),
        };
        HiddenDsn { option, text }
    };
    let (mut args, mut dsns) = (args, Vec::new());
    if is_typed || removed.iter().any(|name| *name != LISTEN_VARIABLE) {
        args = argv::without_database(args);
        dsns.extend(dsn.map(|dsn| hidden(dsn_fd::OPTION, &dsn)));
    }
    if password.is_some() || removed.contains(&LISTEN_VARIABLE) {
        dsns.extend(listen_dsn.map(|dsn| hidden(dsn_fd::LISTEN_OPTION, &dsn)));
    }
    Err(reexec(args, &dsns, &removed))
}

/// Returns the variables of the environment that contain a password of rework's database. `dsn` is the DSN of the
/// command, and `listen_dsn` the one for notifications. Each is `None` if none is named.
fn secret_variables(dsn: Option<&Dsn>, listen_dsn: Option<&Dsn>) -> Vec<&'static str> {
    let is_secret = |name: &str| {
        let Some(text) = variable(name) else { return false };
        // `DATABASE_URL` may name a database of another program.
        let is_ours = name != FOREIGN_VARIABLE || dsn.is_some_and(|dsn| dsn.text() == text);
        is_ours && has_password(&text)
    };
    let names = VARIABLES.into_iter().chain(listen_dsn.map(|_| LISTEN_VARIABLE));
    let mut secret: Vec<&'static str> = names.filter(|name| is_secret(name)).collect();
    let mut passwords = dsn.into_iter().chain(listen_dsn).filter_map(Dsn::password);
    if variable(PASSWORD_VARIABLE).is_some_and(|password| passwords.any(|used| used == password)) {
        secret.push(PASSWORD_VARIABLE);
    }
    secret
}

fn has_password(text: &str) -> bool {
    hide_passwords(text) != text
}

/// Returns the value of an environment variable. `None` if it is unset or empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
