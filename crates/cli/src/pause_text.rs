//! Describes pauses for people: what is paused, where, since when and by whom, and the command that resumes it.

use std::collections::BTreeSet;

use rework_core::pause::row::{Pause, Scope};

use crate::{context::Context, time_text};

/// Returns what is paused, without the host: ``operation `resize` of domain `images` ``.
pub(crate) fn subject(scope: Scope<'_>) -> String {
    match (scope.operation, scope.domain) {
        (Some(operation), Some(domain)) => format!("operation `{operation}` of domain `{domain}`"),
        (Some(operation), None) => format!("operation `{operation}`"),
        (None, Some(domain)) => format!("domain `{domain}`"),
        (None, None) => "every domain".to_owned(),
    }
}

/// Returns where it is paused: ``on host `alpha` `` or `on every host`.
pub(crate) fn place(scope: Scope<'_>) -> String {
    scope.host.map_or_else(|| "on every host".to_owned(), |host| format!("on host `{host}`"))
}

/// Returns a whole clause: ``domain `images` is paused on every host since 2026-11-22 02:10:08+00:00 by alice``.
pub(crate) fn explained(pause: &Pause) -> String {
    let scope = pause.scope();
    format!("{} is paused {} {}", subject(scope), place(scope), since(pause))
}

/// Returns since when something is paused, and by whom.
pub(crate) fn since(pause: &Pause) -> String {
    format!("since {} by {}", time_text::seconds_with_zone(pause.paused_at), pause.actor)
}

/// Returns a command for a scope: `rework resume --domain images --host alpha`. `name` is `pause` or `resume`.
pub(crate) fn command(name: &str, scope: Scope<'_>) -> String {
    let options =
        [("--domain", scope.domain), ("--operation", scope.operation), ("--host", scope.host)];
    let mut command = format!("rework {name}");
    for (option, value) in options {
        if let Some(value) = value {
            command = format!("{command} {option} {value}");
        }
    }
    command
}

/// Notes on standard error that a task waits because of a pause: once for each pause.
pub(crate) struct PauseNotes<'a> {
    context: &'a Context,
    /// The ids of the pauses whose note is printed.
    printed: BTreeSet<i64>,
}

impl<'a> PauseNotes<'a> {
    pub(crate) fn new(context: &'a Context) -> PauseNotes<'a> {
        PauseNotes { context, printed: BTreeSet::new() }
    }

    /// Returns whether the note of a pause is not printed yet.
    pub(crate) fn is_news(&self, pause: &Pause) -> bool {
        !self.printed.contains(&pause.id)
    }

    /// Prints the note that `task` waits because of `pause`, unless the note of this pause is printed already.
    pub(crate) fn note(&mut self, task: i64, pause: &Pause) {
        if self.printed.insert(pause.id) {
            let (explained, resume) = (explained(pause), command("resume", pause.scope()));
            self.context.note(format_args!("task {task} waits: {explained}; `{resume}` ends that"));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn pause(scope: Scope<'_>) -> Pause {
        Pause {
            id: 5,
            domain: scope.domain.map(str::to_owned),
            operation: scope.operation.map(str::to_owned),
            host: scope.host.map(str::to_owned),
            paused_at: "2026-11-22T02:10:08Z".parse().unwrap(),
            actor: "alice".to_owned(),
        }
    }

    #[test]
    fn a_pause_says_what_where_since_when_and_by_whom() {
        let (domain, operation, host) = (Some("images"), Some("resize"), Some("alpha"));
        for (scope, what, command_line) in [
            (
                Scope { domain, operation, host },
                "operation `resize` of domain `images` is paused on host `alpha`",
                "rework resume --domain images --operation resize --host alpha",
            ),
            (
                Scope { domain, ..Scope::default() },
                "domain `images` is paused on every host",
                "rework resume --domain images",
            ),
            (
                Scope { host, ..Scope::default() },
                "every domain is paused on host `alpha`",
                "rework resume --host alpha",
            ),
        ] {
            let pause = pause(scope);
            assert_eq!(explained(&pause), format!("{what} {}", since(&pause)));
            assert!(since(&pause).ends_with(" by alice"));
            assert_eq!(command("resume", pause.scope()), command_line);
        }
    }
}
