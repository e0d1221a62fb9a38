//! `man`: writes a man page for the program and for each command.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::Result;
use crate::args::{Args, ManArgs};

pub(crate) fn run(args: &ManArgs) -> Result {
    clap_mangen::generate_to(Args::command(), &args.folder).with_context(|| {
        format!(
            "cannot write man pages into {:?}; choose a folder that exists and that you may write to",
            args.folder.display().to_string()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
