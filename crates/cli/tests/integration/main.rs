//! Tests of the program against real servers. They are one binary, so that the servers start once.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy allows these in test functions, but not in their fixtures"
)]

mod arguments;
mod as_in_mlflow;
mod bad_arguments;
mod bad_tags;
mod broken_output;
mod company_proxy;
mod disk_full;
mod documentation;
mod find_conditions;
mod find_errors;
mod find_limits;
mod find_output;
mod foreign_database;
mod graph_commands;
mod hostile;
mod indexed;
mod install;
mod local_database;
mod mcp;
mod memory;
mod migrations;
mod mlflow_variables;
mod model_uris;
mod monitor;
mod monitoring_files;
mod names;
mod network_cut;
mod query;
mod register_file;
mod registry_program;
mod registry_questions;
mod resume;
mod secret_files;
mod secrets;
mod secrets_end_to_end;
mod serve;
mod show;
mod standby;
mod support;
mod sync_program;
mod terminal;
mod unreachable;
mod watch_program;
mod watch_survives;
