//! Progress of a run: the numbers it may be counted in, and how it is shown in a terminal.

use std::io::{IsTerminal, stderr};

use crate::stderr;

/// A number that [`Task::progress`](crate::Task::progress) accepts: any integer or float of up to 64 bits.
pub trait Amount: Copy {
    /// Converts the number to the form in which it is recorded. Integers beyond 2^53 are rounded.
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

/// Prints the progress of a run to stderr, if stderr is a terminal.
pub(crate) fn show(done: f64, total: Option<f64>, message: Option<&str>) {
    if stderr().is_terminal() {
        let total = total.map(|total| format!("/{total}")).unwrap_or_default();
        stderr::line(&format!("progress: {done}{total} {}", message.unwrap_or_default()));
    }
}
