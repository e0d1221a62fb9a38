//! `completions`: prints a script that completes commands and flags in a shell.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use super::Result;
use crate::args::{Args, CompletionsArgs};
use crate::stdout::stdout;

pub(crate) fn run(args: &CompletionsArgs) -> Result {
    // The generator panics if its writer fails, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "runlineage", &mut script);
    stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
