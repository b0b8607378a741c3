//! A machine of the simulated world: its clock, its wire, and when it stands still.

use fastrand::Rng;
use rework_wire::lease::Moment;

/// True time, in milliseconds.
pub(crate) type Time = u64;

#[derive(Debug)]
pub(crate) struct Machine {
    /// How fast its clock goes, and how far ahead it began.
    rate: f64,
    ahead: f64,
    cut_until: Time,
    frozen_until: Time,
    /// For how long it stood still in all.
    frozen: Time,
}

impl Machine {
    pub(crate) fn new(random: &mut Rng) -> Machine {
        let (rate, ahead) = (0.9 + 0.2 * random.f64(), 1e6 * (1.0 + random.f64()));
        Machine { rate, ahead, cut_until: 0, frozen_until: 0, frozen: 0 }
    }

    /// What its clock shows. While it stands still, nobody looks.
    pub(crate) fn clock(&self, now: Time) -> Moment {
        let shown = now.saturating_sub(self.frozen) as f64 * self.rate + self.ahead;
        Moment::from_micros((shown * 1000.0) as u64)
    }

    /// How long until its clock shows this.
    pub(crate) fn until(&self, moment: Moment, now: Time) -> Time {
        (moment.saturating_sub(self.clock(now)).as_millis() as f64 / self.rate).ceil() as Time
    }

    pub(crate) fn cut(&mut self, until: Time) {
        self.cut_until = until;
    }

    pub(crate) fn is_frozen(&self, now: Time) -> bool {
        self.frozen_until > now
    }

    pub(crate) fn freeze(&mut self, now: Time, long: Time) {
        self.frozen_until = now + long;
        self.frozen += long;
    }

    pub(crate) fn thaws_at(&self) -> Time {
        self.frozen_until
    }

    /// A message takes a while, or comes late, or never.
    pub(crate) fn travel(&self, now: Time, random: &mut Rng) -> Option<Time> {
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
