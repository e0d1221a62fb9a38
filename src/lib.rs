//! A lineage index for machine-learning runs, stored in MongoDB.
mod error;
pub use error::{Error, Result};
