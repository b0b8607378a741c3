//! What a worker lives by: its monitor, heard on the control socket, or, when that one is gone or
//! silent and a task is in hand, a lease of its own.

use std::future::pending;

use rework_core::{
    lease::{
        self,
        lifeline::{Action, Line},
        row::Asked,
    },
    task::fence::Fence,
};
use rework_process::{SelfKill, boot_time};
use rework_wire::{
    connection::Frames,
    worker::{AbortCause, FromWorker, Start, ToWorker},
};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    abort::Abort,
    keeper::{Keeper, Said, What},
    recorder::Recorder,
};

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

/// The lease was taken away: the run is somebody else's, and the worker ends without recording anything.
#[derive(Debug, thiserror::Error)]
#[error("the lease was taken away")]
pub(crate) struct LeaseLost;

/// A worker's life line, and what it hangs on.
pub(crate) struct Life {
    control: Option<Frames>,
    recorder: Recorder,
    line: Line,
    /// It has heard that the monitor is gone.
    deserted: bool,
    keeper: Keeper,
    asked: Option<oneshot::Receiver<Said>>,
    self_kill: SelfKill,
    retired: Option<String>,
    /// The monitor takes it for idle: the next run is news.
    idle: bool,
    terminate: tokio::signal::unix::Signal,
}

impl Life {
    /// Begins with a monitor.
    pub(crate) fn new(
        control: Frames,
        start: &Start,
        recorder: Recorder,
        keeper: Keeper,
    ) -> std::io::Result<Life> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut self_kill = SelfKill::new()?;
        self_kill.arm(start.until)?;
        Ok(Life {
            control: Some(control),
            recorder,
            line: Line::new(start.terms, start.until, boot_time()),
            deserted: false,
            keeper,
            asked: None,
            self_kill,
            retired: None,
            idle: true,
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

    /// It has nothing to do: it is to be woken.
    pub(crate) fn rest(&mut self) {
        self.idle = true;
        self.tell(&FromWorker::Idle);
    }

    /// It has something to do: the monitor wakes the next one, for what else there is. It is told once the run is on
    /// its way, since who is woken takes the processor from it, or before what may take long.
    pub(crate) fn set_to_work(&mut self) {
        if std::mem::take(&mut self.idle) {
            self.tell(&FromWorker::Busy);
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

    /// Waits for what happens next. `held` is the run in hand: only with one, or with words that are
    /// not recorded yet, is a lease made. Losing the wait loses nothing.
    pub(crate) async fn next(&mut self, held: Option<Fence>) -> Event {
        loop {
            let busy = held.is_some() || self.recorder.has_unsaved();
            let wake_at = self.line.next_at(busy, self.asked.is_some());
            let wait = wake_at.saturating_sub(boot_time());
            let happened = tokio::select! {
                message = hear(&mut self.control) => match message {
                    None => {
                        self.deserted();
                        if !busy {
                            return Event::Retired;
                        }
                        lease::lifeline::Event::Deserted
                    }
                    Some(ToWorker::Renewed { until }) => lease::lifeline::Event::Told { until },
                    Some(message) => match self.on_message(message) {
                        Some(event) => return event,
                        None => continue,
                    },
                },
                said = answer(&mut self.asked) => match on_answer(said) {
                    (happened @ lease::lifeline::Event::Adopted { .. }, _) => {
                        self.tell(&FromWorker::Alone);
                        happened
                    }
                    (happened, None) => happened,
                    (happened, Some(asked)) => {
                        self.step(happened, held);
                        return asked;
                    }
                },
                () = sleep(wait) => lease::lifeline::Event::Time,
                _ = self.terminate.recv() => {
                    self.retire("signal 15 (terminated)");
                    return Event::Retired;
                }
            };
            if self.step(happened, held) {
                self.retire("its lease had run out");
                return Event::LeaseLost;
            }
        }
    }

    /// True: it is to die.
    fn step(&mut self, happened: lease::lifeline::Event, held: Option<Fence>) -> bool {
        let busy = held.is_some() || self.recorder.has_unsaved();
        for action in self.line.step(happened, boot_time(), busy, self.asked.is_some()) {
            match action {
                Action::Arm(until) => {
                    if let Err(error) = self.self_kill.arm(until) {
                        tracing::error!("the kernel's timer cannot be set: {error}");
                    }
                }
                Action::Adopt => {
                    self.retire("its monitor was silent");
                    self.asked = Some(self.keeper.adopt());
                }
                Action::Renew => self.asked = Some(self.keeper.renew(held)),
                Action::Die => return true,
            }
        }
        false
    }

    fn deserted(&mut self) {
        self.control = None;
        if !std::mem::replace(&mut self.deserted, true) {
            silence_own_output();
        }
        self.retire("its monitor was gone");
    }

    fn on_message(&mut self, message: ToWorker) -> Option<Event> {
        match message {
            ToWorker::Wake => Some(Event::Woken),
            ToWorker::Abort { task, run, cause, reason } => {
                Some(Event::Abort(Abort { task, run, cause, reason }))
            }
            ToWorker::Retire { reason } => {
                self.retire(&reason);
                Some(Event::Retired)
            }
            ToWorker::Start(_) | ToWorker::Renewed { .. } => None,
        }
    }
}

/// What the keeper's answer means for the life line; and the abort of a run, if it brings one.
fn on_answer(said: Option<Said>) -> (lease::lifeline::Event, Option<Event>) {
    let Some(Said { sent_at, what }) = said else { return (lease::lifeline::Event::Failed, None) };
    match what {
        What::Adopted => (lease::lifeline::Event::Adopted { sent_at }, None),
        What::Renewed(asked) => {
            let abort = asked.map(|Asked { fence, reason }| {
                let (task, run) = (fence.task, fence.run);
                Event::Abort(Abort { task, run, cause: AbortCause::Asked, reason })
            });
            (lease::lifeline::Event::Renewed { sent_at }, abort)
        }
        What::Taken => (lease::lifeline::Event::Taken, None),
        What::Away => (lease::lifeline::Event::Away { asked_at: sent_at }, None),
        What::Failed => (lease::lifeline::Event::Failed, None),
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
            .inspect_err(|error| tracing::error!("the monitor sent an unknown message: {error}"))
            .ok(),
        Ok(None) => None,
        Err(error) => {
            tracing::error!("the control socket failed: {error}");
            None
        }
    }
}

/// The keeper's answer, once; none where it will never come.
async fn answer(asked: &mut Option<oneshot::Receiver<Said>>) -> Option<Said> {
    let Some(receiver) = asked else { return pending().await };
    let said = receiver.await.ok();
    *asked = None;
    said
}
