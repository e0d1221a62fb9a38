//! All tests of the library on real servers. They are one program, so that the servers start only once.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy allows them in test functions, but not in their fixtures"
)]

mod conformance;
mod convergence;
mod deletes;
mod faults;
mod fixtures;
mod foreign_documents;
mod graph;
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
mod registry;
mod registry_convergence;
mod registry_deletes;
mod registry_verify;
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
