//! When a second thread is to listen to the worker: a run that takes long, or waits for an answer, keeps
//! the first one from it. A short run costs neither a change of threads nor a call of the kernel.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock::now_us;

/// A run that takes so long is long: until then it is not told what the worker says.
const LONG: Duration = Duration::from_millis(20);

/// What the two threads tell each other. Sequentially consistent throughout: either who begins a run
/// sees that no alarm is set, or who let it ring sees the run.
#[derive(Debug)]
pub(crate) struct Watch {
    alarm: TimerFd,
    is_set: AtomicBool,
    /// When the run in hand began, in microseconds; 0: there is none.
    began_us: AtomicI64,
    called: AtomicBool,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Watch> {
        Ok(Watch {
            alarm: TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?,
            is_set: AtomicBool::new(false),
            began_us: AtomicI64::new(0),
            called: AtomicBool::new(false),
        })
    }

    /// A run begins now.
    pub(crate) fn begin(&self, now_us: i64) {
        self.called.store(false, Ordering::SeqCst);
        self.began_us.store(now_us, Ordering::SeqCst);
        if !self.is_set.swap(true, Ordering::SeqCst) {
            self.ring_in(LONG);
        }
    }

    /// No run is in hand any more.
    pub(crate) fn end(&self) {
        self.began_us.store(0, Ordering::SeqCst);
    }

    /// The run in hand waits for an answer.
    pub(crate) fn call(&self) {
        self.called.store(true, Ordering::SeqCst);
        self.is_set.store(true, Ordering::SeqCst);
        self.ring_in(Duration::from_nanos(1));
    }

    /// Whether the second thread is to listen now.
    pub(crate) fn is_needed(&self) -> bool {
        self.is_due(now_us())
    }

    /// Until the second thread is to listen.
    pub(crate) fn wait(&self) {
        loop {
            // What fails here would fail again at once, and a runner that hears nothing is worse than
            // one that looks too often.
            if self.alarm.wait().is_err() {
                std::thread::sleep(LONG);
            }
            self.is_set.store(false, Ordering::SeqCst);
            let now = now_us();
            if self.is_due(now) {
                return;
            }
            let began = self.began_us.load(Ordering::SeqCst);
            if began != 0 && !self.is_set.swap(true, Ordering::SeqCst) {
                let left = began + LONG.as_micros() as i64 - now;
                self.ring_in(Duration::from_micros(left.max(1).unsigned_abs()));
                // It may have put off the alarm of a call.
                if self.is_needed() {
                    return;
                }
            }
        }
    }

    fn is_due(&self, now_us: i64) -> bool {
        let began = self.began_us.load(Ordering::SeqCst);
        let long = LONG.as_micros() as i64;
        began != 0 && (self.called.load(Ordering::SeqCst) || now_us - began >= long)
    }

    fn ring_in(&self, after: Duration) {
        let after = TimeSpec::nanoseconds(after.as_nanos() as i64);
        // Any time that is not below zero is taken.
        let _ = self.alarm.set(Expiration::OneShot(after), TimerSetTimeFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_needs_nobody_and_a_long_one_does() {
        let watch = Watch::new().unwrap();
        assert!(!watch.is_due(now_us()), "nothing runs");
        let began = now_us();
        watch.begin(began);
        assert!(!watch.is_due(began + 19_000));
        assert!(watch.is_due(began + 20_000));
        watch.wait();
        assert!(now_us() >= began + 20_000);
        watch.end();
        assert!(!watch.is_due(began + 40_000));
    }

    #[test]
    fn a_call_is_heard_at_once_and_is_of_one_run() {
        let watch = Watch::new().unwrap();
        let began = now_us();
        watch.begin(began);
        watch.call();
        watch.wait();
        assert!(watch.is_due(began));
        watch.end();
        watch.begin(began);
        assert!(!watch.is_due(began));
    }

    #[test]
    fn who_begins_after_the_alarm_rang_sets_it_again() {
        let watch = Watch::new().unwrap();
        watch.begin(now_us());
        watch.end();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| watch.wait());
            while watch.is_set.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let began = now_us();
            watch.begin(began);
            waits.join().unwrap();
            assert!(now_us() >= began + 20_000);
        });
    }
}
