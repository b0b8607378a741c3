//! A machine of the simulated world: its clock, its network, and the times when it stands still.

use fastrand::Rng;
use rework_wire::lease::BootTime;

/// The time of the world, in milliseconds. The clocks of machines differ from it.
pub(crate) type Time = u64;

#[derive(Debug)]
pub(crate) struct Machine {
    /// The speed of its clock: 1.0 is exact.
    clock_rate: f64,
    /// The time on its clock at the start of the world, in milliseconds.
    clock_start: f64,
    /// The moment until which its network is cut.
    cut_until: Time,
    /// The moment until which it stands still.
    frozen_until: Time,
    /// How long it stood still in all, in milliseconds.
    frozen_total: Time,
}

impl Machine {
    pub(crate) fn new(random: &mut Rng) -> Machine {
        let (clock_rate, clock_start) = (0.9 + 0.2 * random.f64(), 1e6 * (1.0 + random.f64()));
        Machine { clock_rate, clock_start, cut_until: 0, frozen_until: 0, frozen_total: 0 }
    }

    /// The time on its clock. No process reads it while the machine stands still.
    pub(crate) fn clock(&self, now: Time) -> BootTime {
        let shown =
            now.saturating_sub(self.frozen_total) as f64 * self.clock_rate + self.clock_start;
        BootTime::from_micros((shown * 1000.0) as u64)
    }

    /// How long it takes until its clock shows this moment.
    pub(crate) fn until(&self, moment: BootTime, now: Time) -> Time {
        (moment.saturating_sub(self.clock(now)).as_millis() as f64 / self.clock_rate).ceil() as Time
    }

    pub(crate) fn cut(&mut self, until: Time) {
        self.cut_until = until;
    }

    pub(crate) fn is_frozen(&self, now: Time) -> bool {
        self.frozen_until > now
    }

    pub(crate) fn freeze(&mut self, now: Time, duration: Time) {
        self.frozen_until = now + duration;
        self.frozen_total += duration;
    }

    pub(crate) fn thaws_at(&self) -> Time {
        self.frozen_until
    }

    /// How long a message travels, in milliseconds. `None` if it gets lost.
    pub(crate) fn message_delay(&self, now: Time, random: &mut Rng) -> Option<Time> {
        let cut = self.cut_until.saturating_sub(now);
        match random.u16(..1000) {
            _ if cut > 0 => random.bool().then(|| cut + random.u64(1..500)),
            0..2 => None,
            2..7 => Some(random.u64(2_000..40_000)),
            7..50 => Some(random.u64(50..2_000)),
            _ => Some(random.u64(1..20)),
        }
    }
}
