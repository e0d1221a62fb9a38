//! Where runs are kept.
#[cfg(all(feature = "cli", unix))]
pub mod local;
