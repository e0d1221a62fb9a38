//! A lineage index for machine-learning runs, stored in MongoDB.
mod error;
mod store;

pub use error::{Error, Result};
#[cfg(all(feature = "cli", unix))]
pub use store::local;
