//! Chooses how often a test repeats its step: all repetitions in `make soak`, a few in `make test`.

/// Whether the tests run by `make soak`, which sets `REWORK_SOAK`.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("REWORK_SOAK").is_some()
}

/// Returns `full` in `make soak`, and `sampled` in `make test`.
pub(crate) fn count(sampled: usize, full: usize) -> usize {
    if is_soak() { full } else { sampled }
}
