//! Decides when the listener thread must receive what the worker sends: when a run takes long or waits for an answer.
//! In that time the executing thread, which receives between runs, is busy. A short run causes neither a thread switch
//! nor a system call.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock::now_us;

/// A run that takes this long is a long run. An abort reaches an operation at most this much later than it was sent.
const LONG_RUN: Duration = Duration::from_millis(20);

/// Wakes the listener thread during long runs. The executing thread reports the start and the end of each run.
///
/// The kernel's timer is armed at most once for each [`LONG_RUN`], not for each run. When it fires, the listener thread
/// checks how long the current run has taken, and arms it again for the remaining time. All accesses are sequentially
/// consistent: either the executing thread sees that the timer is not armed, or the listener thread sees the new run.
#[derive(Debug)]
pub(crate) struct LongRunTimer {
    timer: TimerFd,
    is_armed: AtomicBool,
    /// When the current run started, in microseconds of the monotonic clock. 0 if there is no current run.
    started_us: AtomicI64,
    /// Whether the current run waits for an answer of the worker.
    awaits_answer: AtomicBool,
}

impl LongRunTimer {
    pub(crate) fn new() -> io::Result<LongRunTimer> {
        Ok(LongRunTimer {
            timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?,
            is_armed: AtomicBool::new(false),
            started_us: AtomicI64::new(0),
            awaits_answer: AtomicBool::new(false),
        })
    }

    /// Records that a run starts now.
    pub(crate) fn run_started(&self, now_us: i64) {
        self.awaits_answer.store(false, Ordering::SeqCst);
        self.started_us.store(now_us, Ordering::SeqCst);
        if !self.is_armed.swap(true, Ordering::SeqCst) {
            self.fire_in(LONG_RUN);
        }
    }

    /// Records that the current run has ended.
    pub(crate) fn run_ended(&self) {
        self.started_us.store(0, Ordering::SeqCst);
    }

    /// Wakes the listener thread now, because the current run waits for an answer.
    pub(crate) fn listen_now(&self) {
        self.awaits_answer.store(true, Ordering::SeqCst);
        self.is_armed.store(true, Ordering::SeqCst);
        // Zero would disarm the timer.
        self.fire_in(Duration::from_nanos(1));
    }

    /// Returns whether the listener thread must listen now.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active_at(now_us())
    }

    /// Waits until the listener thread must listen.
    pub(crate) fn wait(&self) {
        loop {
            // An error would occur again at once. Polling keeps the process responsive without using all of a
            // processor.
            if self.timer.wait().is_err() {
                std::thread::sleep(LONG_RUN);
            }
            self.is_armed.store(false, Ordering::SeqCst);
            let now = now_us();
            if self.is_active_at(now) {
                return;
            }
            let started = self.started_us.load(Ordering::SeqCst);
            if started != 0 && !self.is_armed.swap(true, Ordering::SeqCst) {
                let remaining = started + LONG_RUN.as_micros() as i64 - now;
                self.fire_in(Duration::from_micros(remaining.max(1).unsigned_abs()));
                // This may have overwritten the earlier time that `listen_now` has set in between.
                if self.is_active() {
                    return;
                }
            }
        }
    }

    fn is_active_at(&self, now_us: i64) -> bool {
        let started = self.started_us.load(Ordering::SeqCst);
        let long = LONG_RUN.as_micros() as i64;
        started != 0 && (self.awaits_answer.load(Ordering::SeqCst) || now_us - started >= long)
    }

    fn fire_in(&self, delay: Duration) {
        let delay = TimeSpec::nanoseconds(delay.as_nanos() as i64);
        // The kernel refuses negative times only.
        let _ = self.timer.set(Expiration::OneShot(delay), TimerSetTimeFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_thread_listens_during_long_runs_only() {
        let timer = LongRunTimer::new().unwrap();
        assert!(!timer.is_active_at(now_us()), "there is no current run");
        let started = now_us();
        timer.run_started(started);
        assert!(!timer.is_active_at(started + 19_000));
        assert!(timer.is_active_at(started + 20_000));
        timer.wait();
        assert!(now_us() >= started + 20_000);
        timer.run_ended();
        assert!(!timer.is_active_at(started + 40_000));
    }

    #[test]
    fn a_run_that_awaits_an_answer_wakes_the_second_thread_at_once() {
        let timer = LongRunTimer::new().unwrap();
        let started = now_us();
        timer.run_started(started);
        timer.listen_now();
        timer.wait();
        assert!(timer.is_active_at(started));
        timer.run_ended();
        timer.run_started(started);
        assert!(!timer.is_active_at(started), "the next run awaits no answer");
    }

    #[test]
    fn a_run_that_starts_after_the_timer_fired_arms_it_again() {
        let timer = LongRunTimer::new().unwrap();
        timer.run_started(now_us());
        timer.run_ended();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| timer.wait());
            while timer.is_armed.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let started = now_us();
            timer.run_started(started);
            waiting.join().unwrap();
            assert!(now_us() >= started + 20_000);
        });
    }
}
