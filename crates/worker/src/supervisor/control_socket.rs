//! The worker's end of the control socket, through which its monitor sends messages.

use rework_wire::{frame_socket::FrameSocket, worker::ToWorker};

/// Redirects stdout and stderr to `/dev/null`. The pipes to a dead monitor are broken, and writing to them would kill
/// the worker.
pub(super) fn silence_own_output() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}

/// Receives the next message of the monitor. `None` if the socket was closed or failed, or if the message is unknown.
/// Waits forever if there is no socket.
pub(super) async fn receive(control: &mut Option<FrameSocket>) -> Option<ToWorker> {
    let Some(frames) = control else { return std::future::pending().await };
    match frames.next().await {
        Ok(Some(frame)) => frame
            .message()
            .inspect_err(|error| tracing::error!("the monitor sent an unknown message: {error}"))
            .ok(),
        Ok(None) => None,
        Err(error) => {
            tracing::error!("the control socket failed: {error}");
            None
        }
    }
}
