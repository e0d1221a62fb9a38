//! Everything that is tested against real servers: one binary, so that the servers are started once.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy knows a test function, but not the fixtures that one stands on"
)]

mod arguments;
mod bad_input;
mod broken_output;
mod conformance;
mod convergence;
mod deletes;
mod disk_full;
mod faults;
mod find;
mod fixtures;
mod graves;
mod hostile;
mod indexed;
mod kept_beside_mlopus;
mod lease;
mod memory;
mod migrations;
mod mirrored_texts;
mod mlflow_client;
mod mlflow_variables;
mod mlopus_and_back;
mod mongodb_faults;
mod monitor;
mod network_cut;
mod paging;
mod plans;
mod poison;
mod query;
mod read_preference;
mod readme;
mod register_file;
mod render_tags;
mod replica_set;
mod resume;
mod secrets;
mod secrets_end_to_end;
mod show;
mod support;
mod sync;
mod sync_program;
mod verify;
mod watch;
mod watch_program;
