//! Death by the kernel's own clock: it comes on time also to a process that is stopped, stuck or
//! starved. The timer is not inherited by children, and does not outlive an exec.

use std::{io, time::Duration};

use nix::{
    sys::{
        signal::{SigEvent, SigevNotify, Signal},
        time::TimeSpec,
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::{ClockId, clock_gettime},
};

/// Since the boot of this machine, the time of sleep included: the same for all its processes.
pub fn boot_time() -> Duration {
    // The clock is there since Linux 2.6.39, and reading it cannot fail otherwise.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

pub struct SelfKill(Timer);

impl SelfKill {
    /// One that is not armed.
    pub fn new() -> io::Result<SelfKill> {
        let notify = SigevNotify::SigevSignal { signal: Signal::SIGKILL, si_value: 0 };
        Ok(SelfKill(Timer::new(ClockId::CLOCK_BOOTTIME, SigEvent::new(notify))?))
    }

    /// The kernel kills this process at that moment, by [`boot_time`], unless it is told another one.
    pub fn arm(&mut self, at: Duration) -> io::Result<()> {
        // Nothing at all would disarm it.
        let at = TimeSpec::from(at.max(Duration::from_nanos(1)));
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        Ok(self.0.set(Expiration::OneShot(at), absolute)?)
    }

    /// It does not.
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
