//! Adds an example of the command to the error about a wrong argument.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{Error as ClapError, ErrorKind};
use clap::{Command, CommandFactory, Parser};

use super::Args;
use crate::say::say;
use crate::stdout::write_error;

/// The arguments of this process. `Err` is how the process ends without a command, such as after `--help`.
pub(crate) fn parse() -> Result<Args, anyhow::Result<ExitCode>> {
    let args = Args::try_parse().map_err(|error| answer(&error))?;
    args.with_settings().map_err(|error| Err(error.into()))
}

fn answer(error: &ClapError) -> anyhow::Result<ExitCode> {
    if !error.use_stderr() {
        // `--help` and `--version` are not errors.
        error.print().map_err(write_error)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Without colours. `say!` escapes control characters, which the repeated arguments may hold.
    say!("{}", error.render().to_string().trim_end());
    // Without a command clap prints the help, which ends with an example already.
    if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        && let Some(example) = example(&Args::command(), std::env::args_os().skip(1))
    {
        say!("\nFor example: {example}");
    }
    Ok(ExitCode::from(2))
}

/// The first example in the help of the command that these arguments name, else of the program.
fn example(program: &Command, mut args: impl Iterator<Item = OsString>) -> Option<String> {
    let command = args.find_map(|arg| program.find_subcommand(arg));
    let help = command.unwrap_or(program).get_after_help()?.to_string();
    let line = help.lines().find(|line| line.starts_with("  runlineage"));
    line.map(|line| line.trim().to_owned())
}
