//! A timer of the kernel that kills this process. It works even if the process is stopped, blocked or gets no CPU time.
//! Child processes do not inherit the timer, and it does not survive an `exec`.

use std::{io, time::Duration};

use nix::{
    sys::{
        signal::{SigEvent, SigevNotify, Signal},
        time::TimeSpec,
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::{ClockId, clock_gettime},
};

/// Returns the time since the boot of this host, including the time that it was suspended. All processes of the host
/// read the same clock.
pub fn boot_time() -> Duration {
    // The clock exists since Linux 2.6.39, and reading it cannot fail for another reason.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// A kernel timer that sends SIGKILL to this process when it expires.
pub struct SelfKill(Timer);

impl SelfKill {
    /// Creates a timer that is not armed.
    pub fn new() -> io::Result<SelfKill> {
        let notify = SigevNotify::SigevSignal { signal: Signal::SIGKILL, si_value: 0 };
        Ok(SelfKill(Timer::new(ClockId::CLOCK_BOOTTIME, SigEvent::new(notify))?))
    }

    /// Lets the kernel kill this process at `at`, on the clock of [`boot_time`]. Replaces an earlier moment.
    pub fn arm(&mut self, at: Duration) -> io::Result<()> {
        // Zero would disarm the timer.
        let at = TimeSpec::from(at.max(Duration::from_nanos(1)));
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        Ok(self.0.set(Expiration::OneShot(at), absolute)?)
    }

    /// Disarms the timer: the kernel no longer kills this process.
    pub fn disarm(&mut self) -> io::Result<()> {
        let never = Expiration::OneShot(TimeSpec::from(Duration::ZERO));
        Ok(self.0.set(never, TimerSetTimeFlags::empty())?)
    }
}

impl std::fmt::Debug for SelfKill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SelfKill")
    }
}
