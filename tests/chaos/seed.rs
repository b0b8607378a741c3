//! The seed from which the random choices of a chaos test follow, and how to repeat them.

use crate::support::scale;

/// The environment variable with the seed to repeat.
const SEED_VARIABLE: &str = "REWORK_CHAOS_SEED";

/// Returns the seed of `REWORK_CHAOS_SEED`. Without this variable, it is `usual` in `make test`, and a random one in
/// `make soak`.
pub(crate) fn choose(usual: u64) -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{SEED_VARIABLE}: {error}")),
        Err(_) if scale::is_soak() => fastrand::u64(..1_000_000_000),
        Err(_) => usual,
    }
}

/// Prints how to repeat the faults of a seed, if the test fails.
pub(crate) struct RepetitionHint {
    pub(crate) seed: u64,
    /// The name that selects the test.
    pub(crate) test: &'static str,
}

impl Drop for RepetitionHint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let RepetitionHint { seed, test } = self;
            let soak = if scale::is_soak() { "REWORK_SOAK=1 " } else { "" };
            let command = format!("{soak}{SEED_VARIABLE}={seed} make test ARGS={test}");
            eprintln!("to repeat these faults: {command}");
        }
    }
}
