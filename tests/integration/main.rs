//! Everything that is tested against real servers: one binary, so that the servers are started once.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy knows a test function, but not the fixtures that one stands on"
)]

mod conformance;
mod convergence;
mod deletes;
mod faults;
mod fixtures;
mod hostile;
mod indexed;
mod kept_beside_mlopus;
mod lease;
mod mirrored_texts;
mod mlflow_client;
mod mlflow_network;
mod mlopus_and_back;
mod mongodb_faults;
mod native_runs;
mod paging;
mod plans;
mod poison;
mod query;
mod read_preference;
mod register;
mod render_tags;
mod replica_set;
mod restored;
mod resume;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod tombstones;
mod verify;
mod watch;
