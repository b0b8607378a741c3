//! Notifications for systemd, or for another service manager with the same protocol, if one started us.

use sd_notify::{NotifyState, notify};

use crate::state::drain::reload;

/// The variable that names the socket of the service manager. Our workers must not have it.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";

/// Says that the monitor has registered and works.
pub(crate) fn ready(words: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(words)]);
}

/// Says that the monitor was asked by a signal to end, or to execute itself anew.
pub(crate) fn asked(signal: i32) {
    if signal == reload::SIGNAL {
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
