//! How far a run is: the numbers that it counts in, and what a person sees of them.

use std::io::{IsTerminal, stderr};

use crate::stderr;

/// Any number: what [`Task::progress`](crate::Task::progress) counts in.
pub trait Amount: Copy {
    /// The number, as it is recorded. Past 2^53 it is rounded.
    fn amount(self) -> f64;
}

macro_rules! amounts {
    ($convert:expr => $($number:ty)*) => {
        $(impl Amount for $number {
            fn amount(self) -> f64 {
                let convert: fn($number) -> f64 = $convert;
                convert(self)
            }
        })*
    };
}

amounts!(f64::from => u8 u16 u32 i8 i16 i32 f32 f64);
amounts!(|number| number as f64 => u64 usize i64 isize);

/// Says it on stderr, if that is a terminal.
pub(crate) fn show(done: f64, total: Option<f64>, message: Option<&str>) {
    if stderr().is_terminal() {
        let total = total.map(|total| format!("/{total}")).unwrap_or_default();
        stderr::line(&format!("progress: {done}{total} {}", message.unwrap_or_default()));
    }
}
