//! How much a test does: every count as it was asked for in `make soak`, a sample in `make test`.

/// Whether every count is to be made in full.
pub(crate) fn soak() -> bool {
    std::env::var_os("REWORK_SOAK").is_some()
}

/// The count of this tier.
pub(crate) fn count(sampled: usize, full: usize) -> usize {
    if soak() { full } else { sampled }
}
