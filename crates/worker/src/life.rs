//! What a worker lives by: its monitor, heard on the control socket, or, when that one is gone or
//! silent and a task is in hand, a lease of its own.

use std::{future::pending, time::Duration};

use rework_core::{
    claim::Fence,
    control::{AbortCause, FromWorker, ToWorker},
    error::Error,
    frames::Frames,
    report::Asked,
};
use tokio::time::{Instant, sleep_until};

use crate::recorder::{Answer, Recorder};

/// Without a renewal for so long, a busy worker makes a lease of its own.
const SILENCE: Duration = Duration::from_secs(8);

/// How often a worker without a monitor renews, and looks for the abort of its task.
const RENEWAL: Duration = Duration::from_secs(1);

/// What happens to a worker from outside.
#[derive(Debug)]
pub(crate) enum Event {
    /// A task may be ready.
    Woken,
    /// A run is to end, if this worker still holds it.
    Abort(Abort),
    /// Nothing more is to be claimed, for this reason.
    Retired,
    /// The lease was taken away: the run in hand is somebody else's.
    LeaseLost,
}

/// Which run is to end, and why.
#[derive(Debug)]
pub(crate) struct Abort {
    pub task: i64,
    pub run: i64,
    pub cause: AbortCause,
    pub reason: String,
}

impl Abort {
    /// Whether this run is meant.
    pub(crate) fn names(&self, fence: Fence) -> bool {
        (self.task, self.run) == (fence.task, fence.run)
    }
}

/// A worker's life line.
pub(crate) struct Life {
    control: Option<Frames>,
    recorder: Recorder,
    heard: Instant,
    retired: Option<String>,
    own: Own,
    terminate: tokio::signal::unix::Signal,
}

/// A lease of the worker's own.
enum Own {
    None,
    Adopting(Answer<Option<(i64, i64)>>),
    Refused { again_at: Instant },
    Held { renew_at: Instant },
    Renewing(Answer<Option<Asked>>),
}

impl Life {
    /// Begins with a monitor.
    pub(crate) fn new(control: Frames, recorder: Recorder) -> std::io::Result<Life> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Life {
            control: Some(control),
            recorder,
            heard: Instant::now(),
            retired: None,
            own: Own::None,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Tells the monitor, if there is one.
    pub(crate) fn tell(&mut self, message: &FromWorker) {
        if let Some(control) = &mut self.control
            && let Err(error) = control.send(message, &[])
        {
            tracing::warn!("the monitor could not be told: {error}");
        }
    }

    /// Why nothing more is to be claimed, if so.
    pub(crate) fn retired(&self) -> Option<&str> {
        self.retired.as_deref()
    }

    /// From now on nothing more is to be claimed.
    pub(crate) fn retire(&mut self, reason: &str) {
        self.retired.get_or_insert_with(|| reason.to_owned());
    }

    /// Waits for what happens next. `held` is the run in hand: only with one is a lease made.
    /// Losing the wait loses nothing.
    pub(crate) async fn next(&mut self, held: Option<Fence>) -> Event {
        loop {
            let silence = match (&self.own, held) {
                (Own::None, Some(_)) => Some(self.heard + SILENCE),
                _ => None,
            };
            tokio::select! {
                message = hear(&mut self.control) => {
                    if let Some(event) = self.on_message(message, held) {
                        return event;
                    }
                }
                () = until(silence) => {
                    self.retire("its monitor was silent");
                    self.own = Own::Adopting(self.recorder.adopt());
                }
                event = live_alone(&mut self.own, &self.recorder, held) => return event,
                _ = self.terminate.recv() => {
                    self.retire("signal 15 (terminated)");
                    return Event::Retired;
                }
            }
        }
    }

    fn on_message(&mut self, message: Option<ToWorker>, held: Option<Fence>) -> Option<Event> {
        match message {
            None => {
                self.control = None;
                silence_own_output();
                self.retire("its monitor was gone");
                if held.is_none() {
                    return Some(Event::Retired);
                }
                if matches!(self.own, Own::None) {
                    self.own = Own::Adopting(self.recorder.adopt());
                }
                None
            }
            Some(ToWorker::Renewed) => {
                self.heard = Instant::now();
                None
            }
            Some(ToWorker::Wake) => Some(Event::Woken),
            Some(ToWorker::Abort { task, run, cause, reason }) => {
                Some(Event::Abort(Abort { task, run, cause, reason }))
            }
            Some(ToWorker::Retire { reason }) => {
                self.retire(&reason);
                Some(Event::Retired)
            }
            Some(ToWorker::Start(_)) => None,
        }
    }
}

/// The pipes to a monitor that is gone are broken: a word on them would be the worker's end.
fn silence_own_output() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}

/// The monitor's next message; none when it is gone.
async fn hear(control: &mut Option<Frames>) -> Option<ToWorker> {
    let Some(frames) = control else { return pending().await };
    match frames.next().await {
        Ok(Some(frame)) => frame
            .message()
            .inspect_err(|error| tracing::error!("the monitor said what we do not know: {error}"))
            .ok(),
        Ok(None) => None,
        Err(error) => {
            tracing::error!("the control socket failed: {error}");
            None
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Renews the worker's own lease, for as long as nothing comes of it.
async fn live_alone(own: &mut Own, recorder: &Recorder, held: Option<Fence>) -> Event {
    loop {
        match own {
            Own::None => pending().await,
            Own::Adopting(answer) => match answer.await {
                Ok(Ok(Some(_))) => *own = Own::Held { renew_at: Instant::now() + RENEWAL },
                Ok(Ok(None)) | Err(_) => return lost(own),
                Ok(Err(error)) => {
                    tracing::warn!("a lease could not be made: {error}");
                    *own = Own::Refused { again_at: Instant::now() + RENEWAL };
                }
            },
            Own::Refused { again_at } => {
                sleep_until(*again_at).await;
                *own = Own::Adopting(recorder.adopt());
            }
            Own::Held { renew_at } => {
                sleep_until(*renew_at).await;
                let Some(fence) = held else { pending().await };
                *own = Own::Renewing(recorder.renew(fence));
            }
            Own::Renewing(answer) => {
                let renewed = answer.await;
                *own = Own::Held { renew_at: Instant::now() + RENEWAL };
                match renewed {
                    Ok(Ok(Some(Asked { task, run, reason }))) => {
                        return Event::Abort(Abort { task, run, cause: AbortCause::Asked, reason });
                    }
                    Ok(Ok(None)) => {}
                    Ok(Err(Error::LeaseLost)) | Err(_) => return lost(own),
                    Ok(Err(error)) => tracing::warn!("the lease could not be renewed: {error}"),
                }
            }
        }
    }
}

fn lost(own: &mut Own) -> Event {
    *own = Own::None;
    Event::LeaseLost
}
