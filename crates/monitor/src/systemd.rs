//! Notifications for systemd, or for another service manager with the same protocol, if it started this process.

use sd_notify::{NotifyState, notify};

use crate::state::drain::reload;

/// The variable that names the socket of the service manager. Workers must not inherit it, because
/// their notifications would count as those of the monitor.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";

/// Notifies the service manager that the monitor has registered. `status` is shown by `systemctl status`.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Notifies the service manager that the monitor is ending or reloading because of a signal.
pub(crate) fn ending_or_reloading(signal: i32) {
    if signal == reload::SIGNAL {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!("cannot read the clock: {error}"),
        }
    } else {
        send(&[NotifyState::Stopping]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        tracing::debug!("cannot notify the service manager: {error}");
    }
}
