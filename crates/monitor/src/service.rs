//! Words for the service manager that started us, if one did: systemd, or whoever speaks like it.

use sd_notify::{NotifyState, notify};

use crate::event::RELOAD;

/// The variable by which it is reached; nothing that we start is to have it.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";

/// The monitor has its place.
pub(crate) fn ready(words: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(words)]);
}

/// It is asked to end, or to execute itself anew, by this signal.
pub(crate) fn asked(signal: i32) {
    if signal == RELOAD {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => say(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!("the clock cannot be read: {error}"),
        }
    } else {
        say(&[NotifyState::Stopping]);
    }
}

fn say(words: &[NotifyState<'_>]) {
    if let Err(error) = notify(words) {
        tracing::debug!("the service manager does not listen: {error}");
    }
}
